//! Lists in pages (acs-rooms.md, section 6).

use roomkeeper::app::Settings;
use rstest::rstest;
use serde_json::Value;

use crate::support::*;

fn ids(page: &Value) -> Vec<String> {
    page["value"].as_array().unwrap().iter().map(|room| room["id"].as_str().unwrap().to_owned()).collect()
}

fn path_of<'a>(app: &TestApp, link: &'a str) -> &'a str {
    link.strip_prefix(&format!("http://{}", app.address)).unwrap_or_else(|| panic!("{link} leads elsewhere"))
}

#[tokio::test]
async fn nothing_to_list_is_an_empty_page() {
    let app = TestApp::start().await;

    assert_eq!(app.get("/rooms").await.body, json!({ "value": [] }));
}

#[rstest]
#[case(30, &[30])]
#[case(31, &[30, 1])]
#[case(65, &[30, 30, 5])]
#[tokio::test]
async fn rooms_come_newest_first_in_pages_of_30(#[case] count: usize, #[case] pages: &[usize]) {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(app.room(json!({})).await);
        app.clock.advance(TimeDelta::milliseconds(7));
    }

    let mut listed = Vec::new();
    let mut sizes = Vec::new();
    let mut next = Some("/rooms".to_owned());
    while let Some(path) = next {
        let page = app.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        sizes.push(ids(&page.body).len());
        listed.extend(ids(&page.body));
        next = page.body.get("nextLink").map(|link| path_of(&app, link.as_str().unwrap()).to_owned());
    }

    made.reverse();
    assert_eq!(listed, made);
    assert_eq!(sizes, pages);
}

#[tokio::test]
async fn a_link_leads_to_the_host_that_was_called_with_a_plain_token() {
    let app = TestApp::start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }

    let page = app.request("GET", "/rooms").host("rooms.example:81").send().await;
    let behind_a_proxy = app.request("GET", "/rooms").header("X-Forwarded-Proto", "https").send().await;

    let link = page.body["nextLink"].as_str().unwrap();
    let token = link.strip_prefix("http://rooms.example:81/rooms?nextLink=").unwrap();
    let token = token.strip_suffix("&api-version=2025-03-13").unwrap();
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{token}");
    assert!(behind_a_proxy.body["nextLink"].as_str().unwrap().starts_with("https://"));
}

#[tokio::test]
async fn a_link_leads_to_the_public_host_by_which_the_client_called() {
    let public_hosts = vec!["rooms.example/acs".parse().unwrap()];
    let settings = Settings { public_hosts, ..Setup::default().settings };
    let app = Setup { settings, ..Setup::default() }.start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }
    let (date, empty) = (http_date(app.now()), hash(b""));
    let target = "/rooms?api-version=2025-03-13";
    let signature = sign(KEY, &format!("GET\n/acs{target}\n{date};rooms.example/acs;{empty}"));

    // The proxy has called us by another name, and without the prefix.
    let page = app
        .request("GET", target)
        .unsigned()
        .host("10.0.0.1:8080")
        .header("x-forwarded-proto", "https")
        .header("x-ms-date", &date)
        .header("x-ms-content-sha256", &empty)
        .header("Authorization", &authorization(&signature))
        .send()
        .await;

    assert_eq!(page.status, StatusCode::OK);
    let link = page.body["nextLink"].as_str().unwrap();
    assert!(link.starts_with("https://rooms.example/acs/rooms?nextLink="), "{link}");
}

#[tokio::test]
async fn the_version_that_python_writes_on_next_pages_is_understood() {
    let app = TestApp::start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }
    let first = app.get("/rooms").await.body;
    let link = first["nextLink"].as_str().unwrap().replace("=2025-03-13", "=ApiVersion.V2025_03_13");

    let second = app.get(path_of(&app, &link)).await;

    assert_eq!((second.status, ids(&second.body).len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn rooms_that_come_and_go_between_pages_shift_nothing() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for _ in 0..40 {
        made.push(app.room(json!({})).await);
    }
    let first = app.get("/rooms").await.body;
    let link = first["nextLink"].as_str().unwrap();

    app.room(json!({})).await;
    app.delete(&format!("/rooms/{}", made[35])).await; // on the first page
    app.delete(&format!("/rooms/{}", made[10])).await; // its last: where the token points
    app.delete(&format!("/rooms/{}", made[3])).await; // on the second
    let second = app.get(path_of(&app, link)).await.body;

    let wanted: Vec<String> = (0..10).rev().filter(|n| *n != 3).map(|n| made[n].clone()).collect();
    assert_eq!(ids(&second), wanted);
    assert!(second.get("nextLink").is_none());
}

#[rstest]
#[case::no_token("AbC_d-123")]
#[case::empty("")]
#[case::of_the_right_length("AAAAAAAAAAAAAAAAAAAAAA")]
#[case::not_base64("%00%ff")]
#[case::overlong(&"A".repeat(4000))]
#[tokio::test]
async fn a_token_that_is_none_is_refused(#[case] token: &str) {
    let app = TestApp::start().await;

    let answer = app.get(&format!("/rooms?nextLink={token}&api-version=2025-03-13")).await;

    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        (&answer.body["error"]["code"], &answer.body["error"]["target"]),
        (&json!("BadRequest"), &json!("nextLink"))
    );
}

#[tokio::test]
async fn parameters_that_are_not_known_are_left_alone() {
    let app = TestApp::start().await;
    app.room(json!({})).await;

    let answer = app.get("/rooms?maxpagesize=1&api-version=2025-03-13&$top=3").await;

    assert_eq!((answer.status, ids(&answer.body).len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_resource_sees_its_own_rooms_only() {
    let app = TestApp::start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }
    let link = app.get("/rooms").await.body["nextLink"].as_str().unwrap().to_owned();
    let theirs = app.room(json!({})).await;

    let key = other_resource(&app).await;
    let other = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    let listed = other.request("GET", "/rooms").key(&key).send().await;
    let found = other.request("GET", &format!("/rooms/{theirs}")).key(&key).send().await;
    let roster = other.request("GET", &format!("/rooms/{theirs}/participants")).key(&key).send().await;
    let deleted = other.request("DELETE", &format!("/rooms/{theirs}")).key(&key).send().await;
    let paged = other.request("GET", path_of(&app, &link)).key(&key).send().await;

    assert_eq!(listed.body, json!({ "value": [] }));
    assert_eq!([found.status, roster.status, deleted.status], [StatusCode::NOT_FOUND; 3]);
    assert_eq!(paged.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.count_rooms().await, 32);
}

/// Makes a second resource and gives its key.
async fn other_resource(app: &TestApp) -> String {
    let key = "b3RoZXItcmVzb3VyY2Uta2V5";
    let made = "WITH made AS (INSERT INTO resources (id, name, created_at) VALUES (gen_random_uuid(), 'other', now()) RETURNING id)
                INSERT INTO access_keys (resource_id, name, secret) SELECT id, 'primary', $1 FROM made";
    sqlx::query(made).bind(key).execute(&app.db).await.unwrap();
    key.to_owned()
}
