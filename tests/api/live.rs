//! Live rooms, where the vendor's client can't provoke it: outages, revoked tokens, other origins, eviction.

use roomkeeper::app::Settings;
use roomkeeper::auth::client_token::{self, Issue};
use serde_json::Value;

use crate::support::*;

/// A user of the Identity API, with a token: the path of the user, its raw id and the token.
async fn user_with_token(app: &TestApp) -> (String, String, String) {
    let answer = app.post("/identities", json!({ "createTokenWithScopes": ["chat"] })).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let id = text(&answer.body["identity"]["id"]);
    (format!("/identities/{id}"), id, text(&answer.body["accessToken"]["token"]))
}

/// A call of this surface: openapi.yaml, which other answers are held against, is of the other one.
fn rest(app: &TestApp, method: &str, path: &str) -> Request {
    Request::new(app.address, app.now(), method, path).unsigned()
}

#[tokio::test]
async fn a_user_of_the_identity_api_speaks_for_itself() {
    let app = TestApp::start().await;
    let (_, id, token) = user_with_token(&app).await;

    let connected = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

    assert_eq!((&connected["action"], &connected["connectionDetails"]["clientId"]), (&json!(4), &json!(id)));
}

#[tokio::test]
async fn a_revoked_token_makes_its_client_fetch_a_new_one() {
    let app = TestApp::start().await;
    let (user, _, token) = user_with_token(&app).await;
    app.clock.advance(TimeDelta::seconds(1));
    app.post(&format!("{user}/:revokeAccessTokens"), json!({})).await;

    let refused = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

    assert_eq!((&refused["action"], &refused["error"]["code"]), (&json!(9), &json!(40141)));
}

#[tokio::test]
async fn a_token_ends_by_the_clock_of_the_service() {
    let app = TestApp::start().await;
    let (_, _, token) = user_with_token(&app).await;
    app.clock.advance(TimeDelta::hours(24));

    let refused = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

    assert_eq!((&refused["action"], &refused["error"]["code"]), (&json!(9), &json!(40142)));
}

#[tokio::test]
async fn a_token_that_nobody_can_judge_now_is_not_refused_for_good() {
    let app = TestApp::start().await;
    let (_, _, token) = user_with_token(&app).await;
    app.ctx.db.close(); // as good as away

    let told = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

    assert_eq!((&told["action"], &told["error"]["statusCode"]), (&json!(6), &json!(503)));
}

#[tokio::test]
async fn a_token_for_a_client_that_no_text_can_hold_is_refused_wherever_it_comes() {
    let app = TestApp::start().await;
    let (now, keys) = (app.now(), app.keys.current());
    let issue = Issue {
        client_id: Some("ann\0bob"),
        capability: r#"{"*":["*"]}"#,
        issued_at: now,
        expires_at: now + TimeDelta::hours(1),
    };
    let token = client_token::issue(keys.access.find("dev.primary").unwrap(), issue).unwrap();

    let occupancy = rest(&app, "GET", "/chat/v4/rooms/lobby/occupancy?");
    let over_rest = occupancy.header("Authorization", &format!("Bearer {token}")).send().await;
    let live = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

    assert_eq!((over_rest.status.as_u16(), &over_rest.body["error"]["code"]), (400, &json!(40012)));
    assert_eq!((&live["action"], &live["error"]["code"]), (&json!(9), &json!(40012)));
}

#[tokio::test]
async fn a_backend_makes_a_client_leave() {
    let app = TestApp::start().await;
    let mut ann = Socket::in_room(&app, "ann", "lobby").await;
    ann.enter("lobby", 0).await;

    let path = format!("/channels/lobby::$chat/presence/ann?{LIVE_KEY}");
    let answer = rest(&app, "DELETE", &path).send().await;

    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!({ "members": 1 })));
    // Its own id: the client takes the leave for its own, and does not enter again by itself (ably-chat.md, 3.7).
    let left = ann.next().await;
    let id = left["presence"][0]["id"].as_str().unwrap();
    assert!(id.starts_with(left["presence"][0]["connectionId"].as_str().unwrap()), "{left}");
    assert_eq!(left["presence"][0]["action"], 3);
    assert!(app.hub.members(app.keys.current().access.iter().next().unwrap().resource, "lobby::$chat").is_empty());
}

#[tokio::test]
async fn nobody_but_a_backend_makes_others_leave() {
    let app = TestApp::start().await;
    let (_, _, token) = user_with_token(&app).await;

    let path = format!("/channels/lobby::$chat/presence/ann?access_token={token}");
    let answer = rest(&app, "DELETE", &path).send().await;

    assert_eq!((answer.status, &answer.body["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!(40160)));
}

#[tokio::test]
async fn a_page_of_another_origin_connects_where_it_may() {
    let cors_origins = vec!["https://app.example".to_owned()];
    let settings = Settings { cors_origins, ..Setup::default().settings };
    let app = Setup { settings, ..Setup::default() }.start().await;
    let own = format!("http://{}", app.address);
    let mut statuses = Vec::new();
    for origin in ["https://app.example", "https://evil.example", &own] {
        statuses.push(Socket::from(&app, LIVE_KEY, Some(origin)).await.err());
    }

    assert_eq!(statuses, [None, Some(403), None]);
}

#[tokio::test]
async fn rooms_of_another_resource_are_other_rooms() {
    let app = TestApp::start().await;
    let other = uuid::Uuid::new_v4();
    let secret = "YW5vdGhlci1yZXNvdXJjZS1zLWtleQ==";
    let insert = "INSERT INTO resources (id, name, created_at) VALUES ($1, 'other', now())";
    sqlx::query(insert).bind(other).execute(&app.db).await.unwrap();
    let insert = "INSERT INTO access_keys (resource_id, name, secret) VALUES ($1, 'primary', $2)";
    sqlx::query(insert).bind(other).bind(secret).execute(&app.db).await.unwrap();
    app.keys.replace(roomkeeper::app::keys::load(&app.ctx).await.unwrap());
    let _ann = Socket::in_room(&app, "ann", "lobby").await;

    let path = format!("/chat/v4/rooms/lobby/occupancy?key=other.primary:{}", secret.replace('=', "%3D"));
    let seen = rest(&app, "GET", &path).send().await;
    let with_wrong_name = rest(&app, "GET", &path.replace("other.", "dev.")).send().await;

    assert_eq!(seen.body, json!({ "connections": 0, "presenceMembers": 0 }));
    assert_eq!(with_wrong_name.body["error"]["code"], 40101);
}
