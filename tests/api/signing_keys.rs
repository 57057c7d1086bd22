//! The keys of user tokens: published, and replaced without a token lost.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use roomkeeper::app;
use roomkeeper::jobs::sweeper;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::*;

async fn published(app: &TestApp) -> JwkSet {
    let answer = app.request("GET", "/.well-known/jwks.json").unsigned().send().await;
    assert_eq!(answer.status, StatusCode::OK);
    serde_json::from_value(answer.body).unwrap()
}

async fn token(app: &TestApp) -> String {
    let made = app.post("/identities", json!({ "createTokenWithScopes": ["voip"] })).await;
    made.body["accessToken"]["token"].as_str().unwrap().to_owned()
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// As somebody checks a token who has nothing but what is published.
async fn is_good(app: &TestApp, token: &str) -> bool {
    let keys = published(app).await;
    let Some(key) = keys.find(&kid(token)) else { return false };
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false; // its clock is not the test's
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &rules).is_ok()
}

/// What the service does every half a minute.
async fn refresh(app: &TestApp) {
    app.keys.replace(app::keys::load(&app.ctx).await.unwrap());
}

async fn sweep(app: &TestApp) -> u64 {
    sweeper::tick(&app.ctx, TimeDelta::days(7), &CancellationToken::new()).await.unwrap().keys
}

#[tokio::test]
async fn a_token_can_be_checked_with_what_is_published() {
    let app = TestApp::start().await;

    let keys = app.request("GET", "/.well-known/jwks.json").unsigned().send().await.body;
    let key = &keys["keys"][0];

    assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), ["alg", "e", "kid", "kty", "n", "use"]);
    assert!(is_good(&app, &token(&app).await).await);
}

#[tokio::test]
async fn a_new_key_is_published_at_once_and_used_when_everybody_knows_it() {
    let app = TestApp::start().await;
    let old = kid(&token(&app).await);

    let new = app::keys::rotate_signing_key(&app.ctx).await.unwrap();
    refresh(&app).await;
    assert_eq!(published(&app).await.keys.len(), 2);
    assert_eq!(kid(&token(&app).await), old);

    app.clock.advance(TimeDelta::minutes(5) + TimeDelta::seconds(1));
    assert_eq!(kid(&token(&app).await), new);
}

#[tokio::test]
async fn tokens_of_a_replaced_key_stay_good_until_the_last_of_them_expires() {
    let app = TestApp::start().await;
    app::keys::rotate_signing_key(&app.ctx).await.unwrap();
    refresh(&app).await;
    app.clock.advance(TimeDelta::minutes(5) - TimeDelta::seconds(1));
    let last = token(&app).await;

    app.clock.advance(TimeDelta::hours(24));
    assert_eq!(sweep(&app).await, 0);
    refresh(&app).await;
    assert!(is_good(&app, &last).await);

    app.clock.advance(TimeDelta::minutes(26));
    assert_eq!(sweep(&app).await, 1);
    refresh(&app).await;
    assert!(!is_good(&app, &last).await);
    assert!(is_good(&app, &token(&app).await).await);
    assert_eq!(sweep(&app).await, 0, "the last key is never swept");
}

#[tokio::test]
async fn an_access_key_that_is_set_through_one_replica_is_known_to_the_other() {
    let one = TestApp::start().await;
    let new = "bmV3LXByaW1hcnktYWNjZXNzLWtleQ==";
    let settings = roomkeeper::app::Settings { access_key: new.to_owned(), ..Setup::default().settings };
    Setup { settings, database: Some(one.database.clone()), ..Setup::default() }.start().await;

    refresh(&one).await;

    assert_eq!(one.request("GET", "/rooms").key(new).send().await.status, StatusCode::OK);
    assert_eq!(one.request("GET", "/rooms").send().await.status, StatusCode::UNAUTHORIZED);
}
