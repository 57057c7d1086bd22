//! What is refused, how, and in which order (acs-rooms.md, section 7).

use rstest::rstest;

use crate::support::*;

const ROOM: &str = "/rooms/99480215317774646";

#[rstest]
#[case::three_digits("123", "Invalid room ID length.")]
#[case::seven_letters("Invalid", "Invalid room ID length.")]
#[case::ten_letters("invalid_id", "Invalid room ID length.")]
#[case::fifteen_digits("994802153177746", "Invalid room ID length.")]
#[case::nineteen_digits("9948021531777464600", "Invalid room ID length.")]
#[case::a_nul("%00", "Invalid room ID length.")]
#[case::no_utf8("%ff%fe", "Invalid room ID length.")]
#[case::overlong(&"9".repeat(2000), "Invalid room ID length.")]
#[case::seventeen_letters("NotExistingRoomID", "Invalid room ID.")]
#[case::eighteen_letters("non-existingroomId", "Invalid room ID.")]
#[case::digits_and_a_nul("994802153177746%00", "Invalid room ID.")]
#[case::eighteen_characters_of_nineteen_bytes("non-existingroom%C3%A9", "Invalid room ID.")]
#[case::a_sign("-9948021531777464", "Invalid room ID.")]
#[tokio::test]
async fn a_room_id_that_is_none_is_refused_everywhere(#[case] id: &str, #[case] message: &str) {
    let app = TestApp::start().await;
    let (room, participants) = (format!("/rooms/{id}"), format!("/rooms/{id}/participants"));

    for (method, path) in [("GET", &room), ("DELETE", &room), ("GET", &participants)] {
        assert_eq!(app.request(method, path).send().await.error(), (400, "BadRequest", message), "{method} {path}");
    }
    for path in [&room, &participants] {
        assert_eq!(app.patch(path, json!({})).await.error(), (400, "BadRequest", message), "PATCH {path}");
    }
}

#[rstest]
#[case::sixteen_digits("9948021531777464")]
#[case::seventeen_digits("99480215317774646")]
#[case::eighteen_digits("994802153177746460")]
#[case::zeros("0000000000000000")]
#[tokio::test]
async fn a_well_formed_room_id_that_nobody_has_is_not_found(#[case] id: &str) {
    let app = TestApp::start().await;
    let gone = (404, "NotFound", "The server cannot find the requested resource.");

    assert_eq!(app.get(&format!("/rooms/{id}")).await.error(), gone);
    assert_eq!(app.patch(&format!("/rooms/{id}"), json!({ "pstnDialOutEnabled": true })).await.error(), gone);
    assert_eq!(app.delete(&format!("/rooms/{id}")).await.error(), gone);
    assert_eq!(app.get(&format!("/rooms/{id}/participants")).await.error(), gone);
    let patch = json!({ "participants": { ANN: {} } });
    assert_eq!(app.patch(&format!("/rooms/{id}/participants"), patch).await.error(), gone);
}

#[rstest]
#[case::nowhere("GET", "/nowhere")]
#[case::a_trailing_slash("GET", "/rooms/")]
#[case::a_trailing_slash_behind("GET", "/rooms/99480215317774646/")]
#[case::deeper("GET", "/rooms/99480215317774646/participants/x")]
#[case::another_case("GET", "/Rooms")]
#[case::another_verb("POST", "/identities/8:acs:x/:issueaccesstoken")]
#[tokio::test]
async fn a_path_that_is_none_is_not_found_also_unsigned(#[case] method: &str, #[case] path: &str) {
    let app = TestApp::start().await;

    let answer = app.request(method, path).unsigned().send().await;

    assert_eq!(answer.error(), (404, "NotFound", "The server cannot find the requested resource."));
}

#[rstest]
#[case("PUT", "/rooms", "GET, HEAD, POST")]
#[case("DELETE", "/rooms", "GET, HEAD, POST")]
#[case("POST", ROOM, "GET, HEAD, PATCH, DELETE")]
#[case("PUT", "/rooms/99480215317774646/participants", "GET, HEAD, PATCH")]
#[case("OPTIONS", "/rooms", "GET, HEAD, POST")]
#[case("GET", "/identities", "POST")]
#[case("GET", "/identities/8:acs:x/:issueAccessToken", "POST")]
#[tokio::test]
async fn a_method_that_is_not_allowed_says_which_are(#[case] method: &str, #[case] path: &str, #[case] allow: &str) {
    let app = TestApp::start().await;

    let answer = app.request(method, path).unsigned().send().await;

    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((answer.error().1, answer.header("allow")), ("MethodNotAllowed", Some(allow)));
}

#[rstest]
#[case::rooms("/rooms")]
#[case::identity("/identities/8:acs:x/:issueAccessToken")]
#[tokio::test]
async fn a_request_without_a_version_is_told_so_before_its_signature(#[case] path: &str) {
    let app = TestApp::start().await;
    let method = if path == "/rooms" { "GET" } else { "POST" };

    for query in ["?x=1", "?api-version="] {
        let answer = app.request(method, &format!("{path}{query}")).unsigned().send().await;
        assert_eq!((answer.status.as_u16(), answer.error().1), (400, "ApiVersionUnspecified"));
    }
}

#[rstest]
#[case::a_preview_of_old("GET", "/rooms", "2021-04-07")]
#[case::of_the_other_api("GET", "/rooms", "2023-10-01")]
#[case::the_future("GET", ROOM, "2099-01-01")]
#[case::rooms_on_identity("POST", "/identities", "2025-03-13")]
#[case::custom_ids("POST", "/identities", "2025-06-30")]
#[tokio::test]
async fn a_version_that_is_not_spoken_is_named(#[case] method: &str, #[case] path: &str, #[case] version: &str) {
    let app = TestApp::start().await;

    let answer = app.request(method, &format!("{path}?api-version={version}")).unsigned().send().await;

    let told = format!(
        "The HTTP resource that matches the request URI '{path}' does not support the API version '{version}'."
    );
    assert_eq!(answer.error(), (400, "UnsupportedApiVersion", told.as_str()));
}

#[rstest]
#[case("/rooms", "2023-06-14")]
#[case("/rooms", "2023-10-30-preview")]
#[case("/rooms", "2024-04-15")]
#[case("/rooms", "2025-02-28-preview")]
#[case("/rooms", "2025-03-13")]
#[case("/rooms", "ApiVersion.V2025_03_13")]
#[case("/identities", "2021-03-07")]
#[case("/identities", "2022-06-01")]
#[case("/identities", "2022-10-01")]
#[case("/identities", "2023-10-01")]
#[tokio::test]
async fn a_version_that_is_spoken_is_answered(#[case] path: &str, #[case] version: &str) {
    let app = TestApp::start().await;

    let answer = app.post(&format!("{path}?api-version={version}"), json!({})).await;

    assert_eq!(answer.status, StatusCode::CREATED);
    if path == "/rooms" {
        assert_eq!(answer.body["pstnDialOutEnabled"], false, "always there: Python reads it at every version");
    }
}

#[rstest]
#[case::none(&[])]
#[case::text(&[("Content-Type", "text/plain")])]
#[case::a_form(&[("Content-Type", "application/x-www-form-urlencoded")])]
#[case::json_of_another_kind(&[("Content-Type", "application/problem+json")])]
#[case::compressed(&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")])]
#[tokio::test]
async fn a_body_of_another_type_is_refused(#[case] headers: &[(&str, &str)]) {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    let (room, participants) = (format!("/rooms/{room}"), format!("/rooms/{room}/participants"));

    for (method, path) in [("POST", "/rooms"), ("PATCH", &room), ("PATCH", &participants), ("POST", "/identities")] {
        let request = app.request(method, path).body("{}");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await;
        assert_eq!((answer.status.as_u16(), answer.error().1), (415, "UnsupportedMediaType"), "{method} {path}");
    }
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn a_merge_patch_is_no_body_for_a_create() {
    let app = TestApp::start().await;

    let request = app.request("POST", "/rooms").header("Content-Type", "application/merge-patch+json").body("{}");

    assert_eq!(request.send().await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

/// Each request is wrong in two ways; what comes first in the order of checks is told.
#[tokio::test]
async fn checks_are_made_in_the_documented_order() {
    let app = TestApp::start().await;
    let gone = "/rooms/99480215317774646";
    let bad_id = json!({ "participants": { "4:+1": {} } });
    let bad_role = json!({ "participants": { "4:+1": { "role": "Kafka" } } });

    let version_before_key = app.request("GET", "/rooms?api-version=1").unsigned().send().await;
    assert_eq!(version_before_key.error().1, "UnsupportedApiVersion");

    let declared = (1024 * 1024 + 1).to_string();
    let length_before_key = app.request("POST", "/rooms").unsigned().header("Content-Length", &declared);
    assert_eq!(length_before_key.send().await.error().1, "PayloadTooLarge");

    let key_before_media_type =
        app.request("POST", "/rooms").header("Content-Type", "text/plain").body("x").key("AAAA");
    assert_eq!(key_before_media_type.send().await.error().1, "Denied");

    let media_type_before_room_id = app.request("PATCH", "/rooms/123").header("Content-Type", "text/plain").body("x");
    assert_eq!(media_type_before_room_id.send().await.error().1, "UnsupportedMediaType");

    let body_before_room_id = app.patch("/rooms/123/participants", bad_role.clone()).await;
    assert_eq!(body_before_room_id.error().2, MALFORMED);
    let body_before_room_id = app.patch("/rooms/123", json!({ "validFrom": "2026-12-01T00:00:00Z" })).await;
    assert_eq!(body_before_room_id.error().2, MALFORMED);

    let room_id_before_raw_ids = app.patch("/rooms/123/participants", bad_id.clone()).await;
    assert_eq!(room_id_before_raw_ids.error().2, "Invalid room ID length.");

    let role_before_raw_id = app.post("/rooms", bad_role).await;
    assert_eq!(role_before_raw_id.error().2, MALFORMED);

    let raw_ids_before_existence = app.patch(&format!("{gone}/participants"), bad_id).await;
    assert_eq!(raw_ids_before_existence.error().2, "Communication identifier 4:+1 is not supported.");

    let valid_body_and_no_room =
        app.patch(&format!("{gone}/participants"), json!({ "participants": { ANN: {} } })).await;
    assert_eq!(valid_body_and_no_room.status, StatusCode::NOT_FOUND);
}
