"""Errors: what a caller of the vendor's client reads when the service refuses."""

import re

import pytest
from azure.communication.rooms import CommunicationUserIdentifier
from azure.core.exceptions import HttpResponseError
from support import DAY, NOT_FOUND, Refusal, as_role, bad_request, malformed, now, refusal, user

CALLS = {
    "get_room": lambda rooms, id: rooms.get_room(id),
    "update_room": lambda rooms, id: rooms.update_room(room_id=id, pstn_dial_out_enabled=True),
    "delete_room": lambda rooms, id: rooms.delete_room(id),
    "list_participants": lambda rooms, id: list(rooms.list_participants(id)),
    "add_or_update_participants": lambda rooms, id: rooms.add_or_update_participants(
        room_id=id, participants=[as_role(user())]
    ),
    "remove_participants": lambda rooms, id: rooms.remove_participants(room_id=id, participants=[user()]),
}
NO_ROOMS = {
    "123": bad_request("Invalid room ID length."),
    "Invalid": bad_request("Invalid room ID length."),
    "invalid_id": bad_request("Invalid room ID length."),
    "NotExistingRoomID": bad_request("Invalid room ID."),
    "non-existingroomId": bad_request("Invalid room ID."),
    "no existing/roomé": bad_request("Invalid room ID."),  # its path is signed decoded, and sent encoded
    "9946919857838155": NOT_FOUND,
    "99480215317774646": NOT_FOUND,
    "999058871389949120": NOT_FOUND,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("room_id", NO_ROOMS)
def test_every_call_on_a_room_that_is_none_is_refused(rooms, room_id, call):
    assert refusal(CALLS[call], rooms, room_id) == NO_ROOMS[room_id]


def test_an_error_has_the_status_the_code_the_message_and_the_whole_answer(rooms):
    room = rooms.create_room()

    with pytest.raises(HttpResponseError) as caught:
        rooms.update_room(room_id=room.id, valid_from=now())

    error, expected = caught.value, malformed(("", "validFrom and validUntil should be set together."))
    assert (error.status_code, error.reason) == (400, "Bad Request")
    assert (error.error.code, error.error.message) == (expected.code, expected.message)
    assert [(one.code, one.target, one.message) for one in error.error.details] == expected.details
    headers, asked = error.response.headers, error.response.request.headers
    assert headers["x-ms-error-code"] == "BadRequest"
    assert headers["content-type"].startswith("application/json")
    assert headers["x-ms-client-request-id"] == asked["x-ms-client-request-id"]


def test_a_refused_call_reaches_the_service_once(rooms):
    attempts = []

    refusal(rooms.get_room, "123", raw_request_hook=attempts.append)

    assert len(attempts) == 1


def test_a_bad_id_is_told_before_a_participant_that_is_not_supported(rooms):
    nobody = CommunicationUserIdentifier("invalid")

    refused = refusal(rooms.remove_participants, room_id="123", participants=[nobody])

    assert refused == bad_request("Invalid room ID length.")


def test_a_bad_body_is_told_before_an_unknown_room(rooms):
    refused = refusal(rooms.update_room, room_id="99480215317774646", valid_until=now() + DAY)

    assert refused == malformed(("", "validFrom and validUntil should be set together."))


def test_a_member_of_the_wrong_type_is_refused_by_its_path(rooms):
    refused = refusal(rooms.create_room, pstn_dial_out_enabled="yes")

    assert refused._replace(details=[]) == malformed()
    assert [(code, target) for code, target, _ in refused.details] == [("BadArgument", "$.pstnDialOutEnabled")]


VERSIONS = ["2023-06-14", "2023-10-30-preview", "2024-04-15", "2025-02-28-preview", "2025-03-13"]


@pytest.mark.parametrize("api_version", VERSIONS)
def test_every_version_has_dial_out_and_all_roles(clients, api_version):
    rooms = clients.rooms(api_version=api_version)

    room = rooms.create_room(participants=[as_role(user(), "Collaborator")])

    assert room.pstn_dial_out_enabled is False


def test_a_version_that_is_not_served_is_refused_by_its_name(clients):
    refused = refusal(clients.rooms(api_version="2021-04-07").create_room)

    message = r"The HTTP resource that matches the request URI '.+' does not support the API version '2021-04-07'\."
    assert refused == Refusal(HttpResponseError, 400, "UnsupportedApiVersion", refused.message)
    assert re.fullmatch(message, refused.message)
