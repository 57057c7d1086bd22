//! The client that oas3-gen makes from openapi.yaml: its types fit what the service takes and answers.

#[path = "../../generated/mod.rs"]
mod generated;
mod support;

use chrono::{DurationRound as _, TimeDelta, Utc};
use generated::*;
use support::{Server, user};

const VERSION: RoomsApiVersion = RoomsApiVersion::T20250313;

fn roster(users: &[(&str, Option<ParticipantRole>)]) -> Roster {
    let given = |role: &Option<ParticipantRole>| role.clone().map(|role| ParticipantProperties { role: Some(role) });
    Roster { additional_properties: users.iter().map(|(user, role)| ((*user).to_owned(), given(role))).collect() }
}

async fn created(server: &Server, body: CreateRoomRequest) -> CommunicationRoom {
    let client = server.client("POST", "/rooms?api-version=2025-03-13", &body);
    let query = RoomsCreateRequestQuery { api_version: VERSION };
    let request = RoomsCreateRequest { query, body: Some(body), ..Default::default() };
    match client.rooms_create(request).await.unwrap() {
        ApiResponse::Created(room) => room.body,
        other => panic!("{other:?}"),
    }
}

async fn listed(server: &Server, room: &str) -> Vec<(String, ParticipantRole)> {
    let client = server.client("GET", &format!("/rooms/{room}/participants?api-version=2025-03-13"), "");
    let request = ParticipantsListRequest {
        path: ParticipantsListRequestPath { room_id: room.to_owned() },
        query: ParticipantsListRequestQuery { api_version: VERSION, live: None },
        ..Default::default()
    };
    match client.participants_list(request).await.unwrap() {
        ApiResponse::Ok(roster) => roster.body.value.into_iter().map(|one| (one.raw_id, one.role)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_room_is_created_with_its_window_and_roster() {
    let server = Server::start();
    let (ann, bob) = (user(), user());
    let opens = (Utc::now() + TimeDelta::hours(1)).duration_trunc(TimeDelta::microseconds(1)).unwrap();
    let closes = opens + TimeDelta::hours(1);

    let body = CreateRoomRequest {
        participants: Some(roster(&[
            (&ann, Some(ParticipantRole::Presenter)),
            (&bob, Some(ParticipantRole::Consumer)),
        ])),
        pstn_dial_out_enabled: Some(true),
        valid_from: Some(opens),
        valid_until: Some(closes),
    };
    let room = created(&server, body).await;

    assert_eq!((room.valid_from, room.valid_until, room.pstn_dial_out_enabled), (opens, closes, true));
    let wanted = [(ann, ParticipantRole::Presenter), (bob, ParticipantRole::Consumer)];
    assert_eq!(listed(&server, &room.id).await, wanted);
}

#[tokio::test]
async fn participants_are_added_changed_and_removed_by_one_patch() {
    let server = Server::start();
    let (ann, bob, eve) = (user(), user(), user());
    let attendee = Some(ParticipantRole::Attendee);
    let participants = Some(roster(&[(&ann, attendee.clone()), (&bob, attendee)]));
    let room = created(&server, CreateRoomRequest { participants, ..Default::default() }).await;

    let users =
        [(ann.as_str(), Some(ParticipantRole::Presenter)), (&bob, None), (&eve, Some(ParticipantRole::Consumer))];
    let body = UpdateParticipantsRequest { participants: Some(roster(&users)) };
    let target = format!("/rooms/{}/participants?api-version=2025-03-13", room.id);
    let client = server.client("PATCH", &target, &body);
    let request = ParticipantsUpdateRequest {
        path: ParticipantsUpdateRequestPath { room_id: room.id.clone() },
        query: ParticipantsUpdateRequestQuery { api_version: VERSION },
        body: Some(body),
        ..Default::default()
    };
    let patched = client.participants_update(request).await.unwrap();

    assert!(matches!(patched, ApiResponse::Ok(_)), "{patched:?}");
    let wanted = [(ann, ParticipantRole::Presenter), (eve, ParticipantRole::Consumer)];
    assert_eq!(listed(&server, &room.id).await, wanted);
}

#[tokio::test]
async fn a_refusal_is_a_value_with_its_code_and_its_header() {
    let server = Server::start();
    let room = "999058871389949120";

    let client = server.client("GET", &format!("/rooms/{room}?api-version=2025-03-13"), "");
    let request = RoomsGetRequest {
        path: RoomsGetRequestPath { room_id: room.to_owned() },
        query: RoomsGetRequestQuery { api_version: VERSION },
        ..Default::default()
    };
    let read = client.rooms_get(request).await.unwrap();

    let ApiResponse::NotFound(refused) = read else { panic!("{read:?}") };
    assert_eq!(refused.body.error.code, "NotFound");
    assert_eq!(refused.headers.x_ms_error_code, "NotFound");
}
