//! Users and their tokens (acs-rooms.md, section 11).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use roomkeeper::domain::issue::Issue;
use roomkeeper::domain::raw_id::RawId;
use roomkeeper::service;
use rstest::rstest;
use serde_json::Value;

use crate::support::*;

async fn make_user(app: &TestApp) -> String {
    app.post("/identities", json!({})).await.body["identity"]["id"].as_str().unwrap().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[rstest]
#[case::zero_bytes(None)]
#[case::an_empty_object(Some(json!({})))]
#[case::nulls(Some(json!({ "createTokenWithScopes": null, "expiresInMinutes": null })))]
#[tokio::test]
async fn a_user_is_made_without_a_token(#[case] body: Option<Value>) {
    let app = TestApp::start().await;
    let request = app.request("POST", "/identities").header("Content-Type", "application/json");

    let answer = request.body(body.map(|b| b.to_string()).unwrap_or_default()).send().await;

    assert_eq!(answer.status, StatusCode::CREATED);
    let id = answer.body["identity"]["id"].as_str().unwrap();
    assert_eq!(answer.body, json!({ "identity": { "id": id } }));
    let (resource, user) = id.strip_prefix("8:acs:").unwrap().split_once('_').unwrap();
    assert_eq!((resource.len(), user.len()), (36, 36));
    assert!(user.starts_with("0000002"));
    assert_eq!(id, id.to_lowercase());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("api-supported-versions"), Some("2021-03-07, 2022-06-01, 2022-10-01, 2023-10-01"));
}

#[tokio::test]
async fn a_user_can_be_a_participant() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    let room = app.room_with(json!({ user.as_str(): { "role": "Presenter" } })).await;

    assert_eq!(app.roster(&room).await, [(user, "Presenter".to_owned())]);
}

#[tokio::test]
async fn a_user_is_made_with_a_token_whose_claims_say_who_and_what_for() {
    let app = TestApp::start().await;

    let answer =
        app.post("/identities", json!({ "createTokenWithScopes": ["chat", "voip"], "expiresInMinutes": 60 })).await;

    assert_eq!(answer.status, StatusCode::CREATED);
    let id = answer.body["identity"]["id"].as_str().unwrap();
    assert_eq!(answer.body["accessToken"]["expiresOn"], "2026-11-21T02:07:52+00:00");
    let token = answer.body["accessToken"]["token"].as_str().unwrap();
    let header = part(token, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
    assert!(header["kid"].is_string() && header["x5t"].is_string());
    let resource = id["8:acs:".len()..].split('_').next().unwrap();
    assert_eq!(
        part(token, 1),
        json!({
            "skypeid": &id["8:".len()..],
            "scp": 1792,
            "csi": "1795223272",
            "exp": 1_795_226_872,
            "iat": 1_795_223_272,
            "rgn": "amer",
            "acsScope": "chat,voip",
            "resourceId": resource,
            "resourceLocation": "unitedstates",
            "iatMs": 1_795_223_272_123_i64,
            "revocations": 0,
        })
    );
}

#[tokio::test]
async fn tokens_are_signed_with_the_key_that_the_database_keeps() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let issued = app.post(&format!("/identities/{user}/:issueAccessToken"), json!({ "scopes": ["voip"] })).await;
    let restarted = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    let again = restarted.post(&format!("/identities/{user}/:issueAccessToken"), json!({ "scopes": ["voip"] })).await;

    let keys: Vec<(String, String)> =
        sqlx::query_as("SELECT kid, private_pem FROM signing_keys").fetch_all(&app.db).await.unwrap();
    let [(kid, pem)] = keys.as_slice() else { panic!("{} keys", keys.len()) };
    let public = rcgen::KeyPair::from_pem(pem).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    for answer in [issued, again] {
        let token = answer.body["token"].as_str().unwrap();
        assert_eq!(part(token, 0)["kid"], kid.as_str());
        let key = DecodingKey::from_rsa_der(public.public_key_raw());
        jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
    }
}

#[rstest]
#[case::literal("")]
#[case::encoded("%3A")]
#[tokio::test]
async fn a_token_is_issued_for_a_user_however_its_id_is_spelled_in_the_path(#[case] colon: &str) {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let path = if colon.is_empty() { user.clone() } else { user.replace(':', colon) };

    let body = json!({ "scopes": ["voip.join", "chat.join", "chat.join.limited"], "expiresInMinutes": 1440 });
    let answer = app.post(&format!("/identities/{path}/:issueAccessToken"), body).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["expiresOn"], "2026-11-22T01:07:52+00:00");
    let claims = part(answer.body["token"].as_str().unwrap(), 1);
    assert_eq!(claims["skypeid"], user["8:".len()..]);
    assert_eq!(claims["acsScope"], "voip.join,chat.join,chat.join.limited");
}

#[tokio::test]
async fn a_token_lives_a_day_unless_said_otherwise() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    let answer = app
        .post(&format!("/identities/{user}/:issueAccessToken"), json!({ "scopes": ["voip"], "expiresInMinutes": null }))
        .await;

    assert_eq!(answer.body["expiresOn"], "2026-11-22T01:07:52+00:00");
}

#[rstest]
#[case(59)]
#[case(1441)]
#[case(0)]
#[case(-60)]
#[case(i64::MAX)]
#[tokio::test]
async fn a_lifetime_out_of_bounds_is_refused_with_its_bounds(#[case] minutes: i64) {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    let created =
        app.post("/identities", json!({ "createTokenWithScopes": ["voip"], "expiresInMinutes": minutes })).await;
    let issue = json!({ "scopes": ["voip"], "expiresInMinutes": minutes });
    let issued = app.post(&format!("/identities/{user}/:issueAccessToken"), issue).await;

    let told = format!("ExpiresInMinutes value {minutes} is invalid. Value must be within the [60, 1440] interval.");
    for answer in [created, issued] {
        assert_eq!(answer.error(), (400, "ValidationError", told.as_str()));
        assert_eq!(answer.body["error"]["target"], "ExpiresInMinutes");
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM identities").fetch_one(&app.db).await.unwrap();
    assert_eq!(count, 1);
}

#[rstest]
#[case::missing(json!({}), "scopes")]
#[case::null(json!({ "scopes": null }), "scopes")]
#[case::empty(json!({ "scopes": [] }), "scopes")]
#[case::unknown(json!({ "scopes": ["voip", "fax"] }), "Scopes")]
#[case::another_case(json!({ "scopes": ["VoIP"] }), "Scopes")]
#[case::too_many(json!({ "scopes": vec!["voip"; 33] }), "Scopes")]
#[tokio::test]
async fn a_token_for_nothing_is_refused_also_for_a_user_of_somebody_else(#[case] body: Value, #[case] target: &str) {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    for user in [user.as_str(), ANN, "8:acs:nobody"] {
        let answer = app.post(&format!("/identities/{user}/:issueAccessToken"), body.clone()).await;
        assert_eq!(answer.error().1, "ValidationError");
        assert_eq!(answer.body["error"]["target"], target);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

#[rstest]
#[case::no_scopes(json!({ "createTokenWithScopes": [] }))]
#[case::unknown_scopes(json!({ "createTokenWithScopes": ["fax"] }))]
#[tokio::test]
async fn a_user_with_a_token_for_nothing_is_not_made(#[case] body: Value) {
    let app = TestApp::start().await;

    let answer = app.post("/identities", body).await;

    assert_eq!((answer.status.as_u16(), answer.error().1), (400, "ValidationError"));
    assert_eq!(answer.body["error"]["target"], "CreateTokenWithScopes");
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM identities").fetch_one(&app.db).await.unwrap();
    assert_eq!(count, 0);
}

#[rstest]
#[case::no_json("nonsense", "$")]
#[case::an_array("[]", "$")]
#[case::text_for_scopes(r#"{"createTokenWithScopes":"voip","scopes":"voip"}"#, "$.")]
#[case::half_a_minute(r#"{"expiresInMinutes":60.5}"#, "$.expiresInMinutes")]
#[case::more_than_a_number_holds(r#"{"expiresInMinutes":99999999999999999999}"#, "$.expiresInMinutes")]
#[tokio::test]
async fn a_body_that_can_not_be_read_is_a_validation_error(#[case] body: &str, #[case] target: &str) {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    for path in ["/identities".to_owned(), format!("/identities/{user}/:issueAccessToken")] {
        let request = app.request("POST", &path).header("Content-Type", "application/json").body(body);
        let answer = request.send().await;
        assert_eq!((answer.status.as_u16(), answer.error().1), (400, "ValidationError"));
        assert!(answer.body["error"]["target"].as_str().unwrap().starts_with(target), "{answer:?}");
    }
}

#[rstest]
#[case::of_another_resource(ANN)]
#[case::malformed("8:acs:nobody")]
#[case::a_phone("4:+14255550123")]
#[case::no_id("x%00y")]
#[tokio::test]
async fn a_user_of_somebody_else_gets_no_token(#[case] user: &str) {
    let app = TestApp::start().await;

    let answer = app.post(&format!("/identities/{user}/:issueAccessToken"), json!({ "scopes": ["voip"] })).await;

    assert_eq!(answer.error(), (401, "IdentityNotOwned", "Provided identity doesn't belong to the resource."));
}

#[tokio::test]
async fn a_user_that_was_never_made_gets_no_token() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let another = format!("{}f", &user[..user.len() - 1]);
    let another = if another == user { format!("{}e", &user[..user.len() - 1]) } else { another };

    let answer = app.post(&format!("/identities/{another}/:issueAccessToken"), json!({ "scopes": ["voip"] })).await;

    assert_eq!(answer.error().1, "IdentityNotOwned");
}

async fn issue(app: &TestApp, user: &str) -> Answer {
    app.post(&format!("/identities/{user}/:issueAccessToken"), json!({ "scopes": ["voip"] })).await
}

/// Whether a token stands, as the live surface asks.
async fn stands(app: &TestApp, user: &str, token: &Answer) -> bool {
    let (resource, user) = user.parse::<RawId>().unwrap().guids().unwrap();
    let claims = part(token.body["token"].as_str().unwrap(), 1);
    let at = claims["iatMs"].as_i64().and_then(chrono::DateTime::from_timestamp_millis).unwrap();
    let issue = Issue { at, revocations: claims["revocations"].as_i64() };
    service::identities::token_stands(&app.ctx, resource, user, issue).await.unwrap()
}

#[tokio::test]
async fn a_revocation_makes_earlier_tokens_void_and_later_ones_are_good_within_the_same_instant() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let before = issue(&app, &user).await;
    assert!(stands(&app, &user, &before).await);

    let revoked = app.request("POST", &format!("/identities/{user}/:revokeAccessTokens")).send().await;
    let after = issue(&app, &user).await;

    assert_eq!((revoked.status, revoked.bytes.as_slice()), (StatusCode::NO_CONTENT, &b""[..]));
    assert!(!stands(&app, &user, &before).await);
    assert!(stands(&app, &user, &after).await);

    let again = app.request("POST", &format!("/identities/{user}/:revokeAccessTokens")).send().await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/rooms").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revocation_is_of_one_user_and_is_kept_over_a_restart() {
    let app = TestApp::start().await;
    let (ann, bob) = (make_user(&app).await, make_user(&app).await);
    let (anns, bobs) = (issue(&app, &ann).await, issue(&app, &bob).await);

    app.request("POST", &format!("/identities/{ann}/:revokeAccessTokens")).send().await;
    let restarted = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;

    assert!(!stands(&restarted, &ann, &anns).await);
    assert!(stands(&restarted, &bob, &bobs).await);
}

#[tokio::test]
async fn the_token_of_a_new_user_stands_and_is_void_after_a_revocation_in_the_same_millisecond() {
    let app = TestApp::start().await;
    let made = app.post("/identities", json!({ "createTokenWithScopes": ["chat"] })).await;
    let user = made.body["identity"]["id"].as_str().unwrap().to_owned();
    let token = Answer { body: made.body["accessToken"].clone(), ..made };
    assert!(stands(&app, &user, &token).await);

    app.request("POST", &format!("/identities/{user}/:revokeAccessTokens")).send().await;

    assert!(!stands(&app, &user, &token).await);
}

#[rstest]
#[case::literal("")]
#[case::encoded("%3A")]
#[tokio::test]
async fn a_deleted_user_is_gone_with_its_tokens_and_may_be_deleted_again(#[case] colon: &str) {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let token = issue(&app, &user).await;
    let path = if colon.is_empty() { user.clone() } else { user.replace(':', colon) };

    for _ in 0..2 {
        let deleted = app.delete(&format!("/identities/{path}")).await;
        assert_eq!((deleted.status, deleted.bytes.as_slice()), (StatusCode::NO_CONTENT, &b""[..]));
    }

    let not_owned = (401, "IdentityNotOwned", "Provided identity doesn't belong to the resource.");
    assert_eq!(issue(&app, &user).await.error(), not_owned);
    let revoked = app.request("POST", &format!("/identities/{path}/:revokeAccessTokens")).send().await;
    assert_eq!(revoked.error(), not_owned);
    assert!(!stands(&app, &user, &token).await);
}

#[rstest]
#[case::of_another_resource(ANN.to_owned())]
#[case::malformed("8:acs:nobody".to_owned())]
#[case::never_made(String::new())]
#[tokio::test]
async fn a_user_of_somebody_else_is_neither_revoked_nor_deleted(#[case] id: String) {
    let app = TestApp::start().await;
    let own = make_user(&app).await;
    let id = if id.is_empty() { format!("{}00000000-0000-0000-0000-000000000000", &own[..own.len() - 36]) } else { id };

    let revoked = app.request("POST", &format!("/identities/{id}/:revokeAccessTokens")).send().await;
    let deleted = app.delete(&format!("/identities/{id}")).await;

    for answer in [revoked, deleted] {
        assert_eq!(answer.error(), (401, "IdentityNotOwned", "Provided identity doesn't belong to the resource."));
    }
    assert_eq!(issue(&app, &own).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_user_stays_on_the_rosters_that_name_it() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;
    let room = app.room_with(json!({ user.as_str(): {} })).await;

    app.delete(&format!("/identities/{user}")).await;

    assert_eq!(app.roster(&room).await.len(), 1);
}

#[tokio::test]
async fn each_of_several_revocations_in_one_instant_makes_the_tokens_before_it_void() {
    let app = TestApp::start().await;
    let user = make_user(&app).await;

    for _ in 0..3 {
        let before = issue(&app, &user).await;
        app.request("POST", &format!("/identities/{user}/:revokeAccessTokens")).send().await;
        let after = issue(&app, &user).await;
        assert!(!stands(&app, &user, &before).await);
        assert!(stands(&app, &user, &after).await);
    }
}
