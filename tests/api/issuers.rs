//! Tokens that somebody else made, in the name of a key or of a user of this service.

use roomkeeper::auth::client_token::{self, Issue};
use roomkeeper::auth::jwt::{self, Signer};
use roomkeeper::auth::keyring::AccessKey;
use roomkeeper::domain::identity::{TokenLifetime, TokenScope};

use crate::support::*;

#[tokio::test]
async fn a_token_of_another_issuer_opens_nothing() {
    let app = TestApp::start().await;
    let (now, keys) = (app.now(), app.keys.current());
    let resource = keys.access.find("dev.primary").unwrap().resource;
    let theirs = AccessKey::new(resource, "dev.primary".to_owned(), "c29tZWJvZHktZWxzZS1zLWtleQ==").unwrap();
    let expires_at = now + TimeDelta::hours(1);
    let issue = Issue { client_id: Some("ann"), capability: r#"{"*":["*"]}"#, issued_at: now, expires_at };
    let (_, pem) = jwt::generate().unwrap();
    let kid = keys.signer(resource, now).unwrap().kid().unwrap();
    let signer = Signer::new(resource, kid, &pem, now).unwrap();
    let user = signer.issue(uuid::Uuid::nil(), &[TokenScope::Chat], TokenLifetime::default(), now, 0).unwrap();

    for token in [client_token::issue(&theirs, issue).unwrap(), user.text] {
        let path = "/chat/v4/rooms/lobby/occupancy?";
        let rest = Request::new(app.address, now, "GET", path).unsigned();
        let rest = rest.header("Authorization", &format!("Bearer {token}")).send().await;
        let live = Socket::connect(&app, &format!("access_token={token}")).await.next().await;

        assert_eq!((rest.status.as_u16(), &rest.body["error"]["code"]), (401, &json!(40101)));
        assert_eq!((&live["action"], &live["error"]["code"]), (&json!(9), &json!(40144)));
    }
}
