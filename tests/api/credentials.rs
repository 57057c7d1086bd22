//! Credentials of live rooms, over REST and on the connection: docs/credentials.md has them as tables.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::*;

const HEADER: &str = r#""alg":"HS256","kid":"dev.primary""#;
const LET_IN: (u64, u64) = (0, 0);
/// What is refused over REST, and on the connection: there, the client fetches another token once.
const REFUSED: (u64, u64) = (40101, 40144);

/// A token whose header and claims are these members of JSON objects, as they are written.
fn token(header: &str, claims: &str) -> String {
    let part = |members: &str| URL_SAFE_NO_PAD.encode(format!("{{{members}}}"));
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(live_mac(&signed)))
}

/// `exp` in an hour, and more.
fn claims(app: &TestApp, more: &str) -> String {
    format!(r#""exp":{}{more}"#, app.now().timestamp() + 3600)
}

fn rest(app: &TestApp, query: &str) -> Request {
    Request::new(app.address, app.now(), "GET", &format!("/chat/v4/rooms/lobby/occupancy?{query}")).unsigned()
}

fn code(answer: &Answer) -> u64 {
    answer.body["error"]["code"].as_u64().unwrap_or(0)
}

async fn live(app: &TestApp, query: &str) -> u64 {
    kind(&Socket::connect(app, query).await.next().await).1
}

/// The codes with which a token is refused over REST and on the connection.
async fn codes(app: &TestApp, token: &str) -> (u64, u64) {
    let over_rest = rest(app, "").header("Authorization", &format!("Bearer {token}")).send().await;
    (code(&over_rest), live(app, &format!("access_token={token}")).await)
}

#[tokio::test]
async fn each_header_parameter_of_a_token_is_honoured_or_known_not_to_matter() {
    let app = TestApp::start().await;
    let claims = claims(&app, "");
    let cases = [
        ("", LET_IN),
        (r#","typ":"JWT""#, LET_IN),
        (r#","typ":"application/jwt""#, LET_IN),
        (r#","typ":"at+jwt""#, REFUSED),
        (r#","typ":7"#, REFUSED),
        (r#","cty":"JWT""#, REFUSED),
        (r#","cty":"application/jwt""#, REFUSED),
        (r#","crit":["exp"],"exp":1"#, REFUSED),
        (r#","crit":["b64"],"b64":true"#, REFUSED),
        (r#","crit":[]"#, REFUSED),
        (r#","crit":null"#, REFUSED),
        (r#","zip":"DEF""#, REFUSED),
        (r#","enc":"A128GCM""#, REFUSED),
        (r#","b64":false"#, LET_IN),
        (r#","jku":"https://evil.example/jwks.json","x5u":"https://evil.example","x5t":"x","x5t#S256":"x""#, LET_IN),
        (r#","jwk":{"kty":"oct","k":"c2VjcmV0"},"x5c":["MIIB"]"#, LET_IN),
        (r#","jwk":7,"x5c":7"#, LET_IN),
        (r#","nobody":"knows""#, LET_IN),
        (r#","nobody":"knows","nobody":"this""#, REFUSED),
        (r#","kid":"dev.primary""#, REFUSED),
    ];
    for (more, wanted) in cases {
        let token = token(&format!("{HEADER}{more}"), &claims);
        assert_eq!(codes(&app, &token).await, wanted, "{more}");
    }
    for header in [
        r#""alg":"none","kid":"dev.primary""#,
        r#""alg":"HS512","kid":"dev.primary""#,
        r#""alg":"RS256","kid":"dev.primary""#,
        r#""kid":"dev.primary""#,
        r#""alg":"HS256""#,
        r#""alg":"HS256","kid":7"#,
        r#""alg":"HS256","kid":"dev.nobodys""#,
    ] {
        assert_eq!(codes(&app, &token(header, &claims)).await, REFUSED, "{header}");
    }
}

#[tokio::test]
async fn each_registered_claim_of_a_token_is_honoured_or_known_not_to_matter() {
    let app = TestApp::start().await;
    let now = app.now().timestamp();
    let resource = app.keys.current().access.find("dev.primary").unwrap().resource;
    let cases = [
        (r#","iss":"https://app.example","sub":"ann","jti":"1""#.to_owned(), LET_IN),
        (r#","iss":7"#.to_owned(), REFUSED),
        (r#","sub":["ann"]"#.to_owned(), REFUSED),
        (r#","jti":null"#.to_owned(), REFUSED),
        (r#","aud":"dev.primary""#.to_owned(), LET_IN),
        (r#","aud":"dev""#.to_owned(), LET_IN),
        (format!(r#","aud":"{resource}""#), LET_IN),
        (r#","aud":["https://other.example","dev"]"#.to_owned(), LET_IN),
        (r#","aud":"https://other.example""#.to_owned(), REFUSED),
        (r#","aud":["https://other.example"]"#.to_owned(), REFUSED),
        (r#","aud":"DEV""#.to_owned(), REFUSED),
        (r#","aud":[]"#.to_owned(), REFUSED),
        (r#","aud":["dev",7]"#.to_owned(), REFUSED),
        (r#","aud":null"#.to_owned(), REFUSED),
        (format!(r#","nbf":{}"#, now - 5), LET_IN),
        (format!(r#","nbf":{}.5"#, now + 29), LET_IN),
        (format!(r#","nbf":{}"#, now + 60), REFUSED),
        (format!(r#","nbf":"{}""#, now - 5), REFUSED),
        (r#","nbf":1e300"#.to_owned(), REFUSED),
        (format!(r#","iat":{now}"#), LET_IN),
        (format!(r#","iat":{}.25"#, now + 86_400), LET_IN),
        (format!(r#","iat":"{now}""#), REFUSED),
        (format!(r#","exp":{}"#, now + 7200), REFUSED),
        (r#","x-ably-clientId":"ann","x-ably-clientId":"bob""#.to_owned(), REFUSED),
    ];
    for (more, wanted) in cases {
        let token = token(HEADER, &claims(&app, &more));
        assert_eq!(codes(&app, &token).await, wanted, "{more}");
    }
    for (claims, wanted) in [
        (format!(r#""exp":{}.5"#, now + 1), LET_IN),
        (format!(r#""exp":"{}""#, now + 60), REFUSED),
        (r#""exp":1e300"#.to_owned(), REFUSED),
        (r#""exp":1e999"#.to_owned(), REFUSED),
        (r#""exp":999999999999"#.to_owned(), REFUSED),
        (r#""exp":null"#.to_owned(), REFUSED),
        (r#""iat":1"#.to_owned(), REFUSED),
        (format!(r#""exp":{now}"#), (40142, 40142)),
    ] {
        assert_eq!(codes(&app, &token(HEADER, &claims)).await, wanted, "{claims}");
    }
}

#[tokio::test]
async fn a_private_claim_of_another_type_is_refused() {
    let app = TestApp::start().await;
    for (more, wanted) in [
        (r#","x-ably-clientId":7"#, REFUSED),
        (r#","x-ably-clientId":"""#, REFUSED),
        (r#","x-ably-clientId":null"#, LET_IN),
        (r#","x-ably-capability":{"*":["*"]}"#, REFUSED),
        (r#","x-ably-capability":"everything""#, (40003, 40003)),
        (r#","x-ably-capability":"{\"*\":[\"*\"],\"*\":[]}""#, (40003, 40003)),
        (r#","ably.room.lobby":7"#, REFUSED),
        (r#","ably.room.lobby":"owner""#, LET_IN),
        (r#","ably.channel.lobby":7,"ably.limits.publish.perAttachment.maxRate":"x","x-ably-other":[]"#, LET_IN),
    ] {
        let token = token(HEADER, &claims(&app, more));
        assert_eq!(codes(&app, &token).await, wanted, "{more}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_yet_says_so_and_is_good_later() {
    let app = TestApp::start().await;
    let token = token(HEADER, &claims(&app, &format!(r#","nbf":{}"#, app.now().timestamp() + 60)));

    let early = rest(&app, "").header("Authorization", &format!("Bearer {token}")).send().await;
    app.clock.advance(TimeDelta::seconds(31));

    assert_eq!(early.status, StatusCode::UNAUTHORIZED);
    assert!(early.body["error"]["message"].as_str().unwrap().contains("nbf"), "{}", early.body);
    assert_eq!(codes(&app, &token).await, LET_IN);
}

#[tokio::test]
async fn a_token_is_told_to_have_expired_only_if_it_is_good_otherwise() {
    let app = TestApp::start().await;
    let was = app.now().timestamp() - 10;
    for (more, wanted) in [
        ("", (40142, 40142)),
        (r#","aud":"other""#, REFUSED),
        (r#","iss":7"#, REFUSED),
        (r#","x-ably-capability":"everything""#, (40003, 40003)),
        (r#","x-ably-clientId":"ann\u0000""#, (40012, 40012)),
    ] {
        assert_eq!(codes(&app, &token(HEADER, &format!(r#""exp":{was}{more}"#))).await, wanted, "{more}");
    }
    let answer = app.post("/identities", json!({ "createTokenWithScopes": ["voip"], "expiresInMinutes": 60 })).await;
    app.clock.advance(TimeDelta::hours(2));
    let token = answer.body["accessToken"]["token"].as_str().unwrap();
    assert_eq!(codes(&app, token).await, (40160, 40160));
}

#[tokio::test]
async fn a_user_token_opens_live_rooms_with_the_scope_chat_alone() {
    let app = TestApp::start().await;
    for (scopes, wanted) in [
        (json!(["chat"]), LET_IN),
        (json!(["voip", "chat"]), LET_IN),
        (json!(["voip"]), (40160, 40160)),
        (json!(["chat.join", "voip.join"]), (40160, 40160)),
        (json!(["chat.join.limited"]), (40160, 40160)),
    ] {
        let answer = app.post("/identities", json!({ "createTokenWithScopes": scopes })).await;
        let token = answer.body["accessToken"]["token"].as_str().unwrap();
        assert_eq!(codes(&app, token).await, wanted, "{scopes}");
    }
}

#[tokio::test]
async fn a_connection_is_not_renewed_with_a_token_of_another_scope() {
    let app = TestApp::start().await;
    let (user, mut socket) = live_user(&app).await;
    let path = format!("/identities/{user}/:issueAccessToken");
    let token = app.post(&path, json!({ "scopes": ["voip"] })).await.body["token"].clone();

    socket.send(json!({ "action": 17, "auth": { "accessToken": token } })).await;

    let refused = socket.next().await;
    assert_eq!(kind(&refused), (9, 40160));
    assert!(refused["error"]["message"].as_str().unwrap().contains("`chat`"), "{refused}");
}

#[tokio::test]
async fn whoever_shows_two_credentials_is_refused() {
    let app = TestApp::start().await;
    let token = token(HEADER, &claims(&app, ""));
    let access = format!("access_token={token}");
    for query in [
        format!("{LIVE_KEY}&{access}"),
        format!("{LIVE_KEY}&{LIVE_KEY}"),
        format!("{access}&{access}"),
        format!("{access}&accessToken={token}"),
    ] {
        let over_rest = rest(&app, &query).send().await;
        assert_eq!((over_rest.status.as_u16(), code(&over_rest)), (400, 40005), "{query}");
        assert_eq!(live(&app, &query).await, 40005, "{query}");
    }
    let bearer = format!("Bearer {token}");
    let beside_a_query = rest(&app, &access).header("Authorization", &bearer).send().await;
    let twice = rest(&app, "").header("Authorization", &bearer).header("Authorization", &bearer).send().await;
    let once = rest(&app, "").header("Authorization", &bearer).send().await;
    assert_eq!((code(&beside_a_query), code(&twice), code(&once)), (40005, 40005, 0));
}

#[tokio::test]
async fn an_authorization_header_has_one_credential_and_nothing_behind_it() {
    let app = TestApp::start().await;
    let token = token(HEADER, &claims(&app, ""));
    for (header, wanted) in [
        (format!("Bearer {token} x"), 40005),
        (format!("Bearer {token}, Bearer {token}"), 40005),
        (format!("Bearer x {token}"), 40005),
        (format!("Bearer {}", STANDARD.encode(format!("{token} x"))), 40101),
        (format!("Basic {} x", STANDARD.encode(format!("dev.primary:{KEY}"))), 40005),
        (format!("Basic {}", STANDARD.encode(format!("dev.primary:{KEY}:x"))), 40101),
        (format!("Basic {}", STANDARD.encode(format!("dev.primary:{KEY}\n"))), 40101),
        (format!("Basic {}", STANDARD.encode(format!("dev.primary:{KEY}"))), 0),
        (format!("Bearer {}", STANDARD.encode(&token)), 0),
    ] {
        let answer = rest(&app, "").header("Authorization", &header).send().await;
        assert_eq!(code(&answer), wanted, "{header}");
    }
}
