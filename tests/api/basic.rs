//! The access key itself in a request, as curl sends it with `--user`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roomkeeper::app::Settings;
use rstest::rstest;

use crate::support::*;

fn with(app: &TestApp, method: &str, user: &str) -> Request {
    let credentials = format!("Basic {}", STANDARD.encode(user));
    app.request(method, "/rooms").unsigned().header("Authorization", &credentials)
}

#[rstest]
#[case::as_curl_is_told(format!("primary:{KEY}"))]
#[case::with_the_resource(format!("dev.primary:{KEY}"))]
#[case::without_padding(format!("primary:{}", KEY.trim_end_matches('=')))]
#[tokio::test]
async fn a_key_and_its_name_make_a_room(#[case] user: String) {
    let app = TestApp::start().await;

    let answer = with(&app, "POST", &user).json(&json!({})).send().await;

    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(app.count_rooms().await, 1);
}

#[rstest]
#[case::another_key("primary:b3RoZXI=".to_owned())]
#[case::another_name(format!("tertiary:{KEY}"))]
#[case::the_name_of_the_resource_alone(format!("dev:{KEY}"))]
#[case::no_name(KEY.to_owned())]
#[tokio::test]
async fn anything_else_is_refused_as_a_wrong_signature_is(#[case] user: String) {
    let app = TestApp::start().await;

    let answer = with(&app, "POST", &user).json(&json!({})).send().await;

    assert_eq!(answer.error(), (401, "Denied", "Denied by the resource provider."));
    assert_eq!(answer.header("www-authenticate"), None, "a browser would ask its user");
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn over_plain_http_from_elsewhere_it_is_refused_with_what_to_do() {
    let app = TestApp::start().await;

    let forwarded = with(&app, "GET", &format!("primary:{KEY}")).header("X-Forwarded-Proto", "http").send().await;
    let over_tls = with(&app, "GET", &format!("primary:{KEY}")).header("X-Forwarded-Proto", "https").send().await;

    assert_eq!(forwarded.error().0, 401);
    assert_eq!(forwarded.error().2, "An access key may be sent over https alone. Use https, or sign the request.");
    assert_eq!(over_tls.status, StatusCode::OK);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let settings = Settings { basic_auth: false, ..Setup::default().settings };
    let app = Setup { settings, ..Setup::default() }.start().await;

    let answer = with(&app, "GET", &format!("primary:{KEY}")).send().await;

    assert_eq!(answer.error(), (401, "Denied", "This service takes signed requests only."));
    assert_eq!(app.get("/rooms").await.status, StatusCode::OK);
}
