//! Token requests: what is signed, and what it is signed over. docs/credentials.md has the fields as a table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

fn code(answer: &Answer) -> u64 {
    answer.body["error"]["code"].as_u64().unwrap_or(0)
}

/// A token request that is signed over its fields as they are written.
struct TokenRequest {
    body: Value,
}

impl TokenRequest {
    /// Usual fields, and others in their place; null leaves one out.
    fn new(app: &TestApp, others: Value) -> Self {
        let mut body = json!({ "keyName": "dev.primary", "timestamp": app.now().timestamp_millis(), "nonce": "n" });
        for (name, value) in others.as_object().unwrap() {
            body[name] = value.clone();
        }
        let written = |name: &str| match &body[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let names = ["keyName", "ttl", "capability", "clientId", "timestamp", "nonce"];
        let text: String = names.iter().map(|name| written(name) + "\n").collect();
        body["mac"] = json!(STANDARD.encode(live_mac(&text)));
        Self { body }
    }

    /// Changed behind its signature.
    fn with(mut self, others: Value) -> Self {
        for (name, value) in others.as_object().unwrap() {
            self.body[name] = value.clone();
        }
        self
    }

    async fn send(self, app: &TestApp) -> Answer {
        let request = Request::new(app.address, app.now(), "POST", "/keys/dev.primary/requestToken?x");
        request.unsigned().json(&self.body).send().await
    }
}

#[tokio::test]
async fn fields_of_a_token_request_do_not_move_across_line_feeds() {
    let app = TestApp::start().await;
    let now = app.now().timestamp_millis();
    let signed =
        || TokenRequest::new(&app, json!({ "clientId": format!("bob\n{now}"), "timestamp": now, "nonce": "n" }));

    let as_it_was = signed().send(&app).await;
    let moved = signed().with(json!({ "clientId": "bob", "nonce": format!("{now}\nn") })).send(&app).await;

    for answer in [as_it_was, moved] {
        assert_eq!((answer.status.as_u16(), code(&answer)), (400, 40003), "{answer:?}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("control character"), "{answer:?}");
    }
}

#[tokio::test]
async fn no_field_of_a_token_request_has_control_characters() {
    let app = TestApp::start().await;
    let now = app.now().timestamp_millis();
    for field in [
        json!({ "keyName": "dev.primary\n" }),
        json!({ "clientId": "bob\n" }),
        json!({ "clientId": "bob\u{0}" }),
        json!({ "clientId": "bob\u{85}" }),
        json!({ "nonce": "n\r" }),
        json!({ "capability": "{\n\"lobby\":[\"subscribe\"]}" }),
        json!({ "ttl": "60000\n" }),
        json!({ "timestamp": format!("{now}\n") }),
        json!({ "timestamp": format!("\t{now}") }),
    ] {
        let answer = TokenRequest::new(&app, field.clone()).send(&app).await;
        assert_eq!((answer.status.as_u16(), code(&answer)), (400, 40003), "{field}");
        // Before anything is compared: whether the signature fits is not told.
        let unsigned = TokenRequest::new(&app, field.clone()).with(json!({ "mac": "x" })).send(&app).await;
        assert_eq!((unsigned.status.as_u16(), code(&unsigned)), (400, 40003), "{field}");
    }
}

#[tokio::test]
async fn a_field_of_a_token_request_is_of_its_type_and_of_bounded_length() {
    let app = TestApp::start().await;
    let now = app.now().timestamp_millis();
    for (field, wanted) in [
        (json!({ "ttl": 60_000, "clientId": "bob", "capability": "{\"lobby\":[\"subscribe\"]}" }), 0),
        (json!({ "ttl": "60000", "timestamp": now.to_string(), "nonce": "n2" }), 0),
        (json!({ "ttl": "", "clientId": "", "capability": "", "nonce": "n3" }), 0),
        (json!({ "nonce": "n".repeat(256) }), 0),
        (json!({ "nonce": "n".repeat(257) }), 40003),
        (json!({ "nonce": null }), 40003),
        (json!({ "nonce": 7 }), 40003),
        (json!({ "timestamp": null }), 40003),
        (json!({ "timestamp": [now] }), 40003),
        (json!({ "timestamp": 1.5 }), 40003),
        (json!({ "timestamp": format!("+{now}") }), 40003),
        (json!({ "ttl": true }), 40003),
        (json!({ "ttl": [60_000] }), 40003),
        (json!({ "ttl": {} }), 40003),
        (json!({ "ttl": 60_000.5 }), 40003),
        (json!({ "ttl": 6e4 }), 40003),
        (json!({ "ttl": "6e4" }), 40003),
        (json!({ "ttl": " 60000" }), 40003),
        (json!({ "ttl": -1 }), 40003),
        (json!({ "ttl": "9".repeat(40) }), 40003),
        (json!({ "clientId": ["bob"] }), 40003),
        (json!({ "clientId": "b".repeat(513) }), 40012),
        (json!({ "capability": { "lobby": ["subscribe"] } }), 40003),
        (json!({ "capability": " ".repeat(33 * 1024) }), 40003),
        (json!({ "keyName": "d".repeat(257) }), 40003),
    ] {
        let answer = TokenRequest::new(&app, field.clone()).send(&app).await;
        assert_eq!(code(&answer), wanted, "{field} {answer:?}");
    }
    let answer = TokenRequest::new(&app, json!({})).with(json!({ "mac": [] })).send(&app).await;
    assert_eq!(code(&answer), 40003);
}

#[tokio::test]
async fn a_token_request_that_names_a_field_twice_is_refused() {
    let app = TestApp::start().await;
    let body = TokenRequest::new(&app, json!({ "clientId": "bob" })).body.to_string();
    let body = body.replace("\"clientId\":", "\"clientId\":\"ann\",\"clientId\":");

    let request = Request::new(app.address, app.now(), "POST", "/keys/dev.primary/requestToken?x").unsigned();
    let answer = request.body(body).send().await;

    assert_eq!((answer.status.as_u16(), code(&answer)), (400, 40000));
}
