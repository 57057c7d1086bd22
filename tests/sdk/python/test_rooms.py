"""Rooms: making, reading, changing and deleting them, and the rules of their time."""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from support import DAY, NOT_FOUND, Answers, as_role, instant, is_now, malformed, now, refusal, roster, user

NO_ARGUMENTS = {"validFrom": None, "validUntil": None, "pstnDialOutEnabled": None}


def window(start, end):
    """A window by its ends, in days from now."""
    moment = now()
    return {"valid_from": moment + start * DAY, "valid_until": moment + end * DAY}


def ends(room):
    return {"valid_from": instant(room.valid_from), "valid_until": instant(room.valid_until)}


def test_a_room_made_with_nulls_is_open_from_now_on_for_180_days_empty_and_without_dial_out(rooms):
    since, answers = now(), Answers()

    room = rooms.create_room(raw_response_hook=answers.take)

    assert json.loads(answers.request.content) == {**NO_ARGUMENTS, "pstnDialOutEnabled": False}
    assert re.fullmatch("[0-9]{16,18}", room.id)
    assert is_now(room.created_at, since)
    assert is_now(room.valid_from, since)
    assert is_now(room.valid_until, since, ahead=180 * DAY)
    assert room.pstn_dial_out_enabled is False
    assert roster(rooms, room) == {}


def test_a_room_made_with_a_null_for_dial_out_has_none(rooms):
    assert rooms.create_room(pstn_dial_out_enabled=None).pstn_dial_out_enabled is False


def test_a_room_has_what_it_was_made_with(rooms):
    ann, bob, given = user(), user(), window(1, 2)

    room = rooms.create_room(
        **given, pstn_dial_out_enabled=True, participants=[as_role(ann, "Presenter"), as_role(bob)]
    )

    assert ends(room) == given
    assert room.pstn_dial_out_enabled is True
    assert rooms.get_room(room.id) == room
    assert roster(rooms, room) == {ann.raw_id: "Presenter", bob.raw_id: "Attendee"}


def test_a_create_is_answered_with_201_the_rooms_id_as_location_and_that_it_may_be_repeated(rooms):
    answers = Answers()

    room = rooms.create_room(raw_response_hook=answers.take)

    assert answers.response.status_code == 201
    assert answers.response.headers["Location"] == room.id
    assert answers.response.headers["Repeatability-Result"] == "accepted"


FRACTIONS = {
    0: "",
    1: ".000001",
    123_456: ".123456",
    123_450: ".12345",
    123_400: ".1234",
    123_000: ".123",
    120_000: ".12",
    100_000: ".1",
}


@pytest.mark.parametrize("microsecond", FRACTIONS)
def test_times_are_given_back_to_the_microsecond_and_without_trailing_zeros(rooms, microsecond):
    start = (now() + DAY).replace(microsecond=microsecond)
    given = {"valid_from": start, "valid_until": start + DAY}

    room = rooms.create_room(**given)
    updated = rooms.update_room(room_id=room.id, **given)

    for answer in [room, updated, rooms.get_room(room.id)]:
        assert ends(answer) == given
        assert answer.valid_from == f"{start:%Y-%m-%dT%H:%M:%S}{FRACTIONS[microsecond]}+00:00"


def test_a_time_without_a_zone_is_taken_for_utc(rooms):
    start = now() + DAY

    room = rooms.create_room(valid_from=start.replace(tzinfo=None))

    assert instant(room.valid_from) == start


def test_a_time_of_another_zone_is_the_same_instant(rooms):
    start = datetime.now(timezone(timedelta(hours=5, minutes=45))) + DAY

    room = rooms.create_room(valid_from=start)

    assert instant(room.valid_from) == start


def test_an_end_that_is_not_given_lies_180_days_from_now_wherever_the_start_is(rooms):
    since = now()

    room = rooms.create_room(valid_from=since + 2 * DAY)

    assert instant(room.valid_from) == since + 2 * DAY
    assert is_now(room.valid_until, since, ahead=180 * DAY)


def test_a_start_that_is_not_given_is_now(rooms):
    since = now()

    room = rooms.create_room(valid_until=since + DAY)

    assert is_now(room.valid_from, since)
    assert instant(room.valid_until) == since + DAY


RANGE = ("ValidUntil", "The time range is incorrect, or larger than 180 days.")
PAST = ("ValidUntil", "The time range end is in the past.")
FAR = ("ValidFrom", "Value is incorrect or more than 180 days in the future.")
TAKEN = {"180 days long": (0, 180), "began in the past": (-1, 1)}
REFUSED = {
    "longer than 180 days": ((0, 181), RANGE),
    "ends before it starts": ((2, 1), RANGE),
    "ends as it starts": ((1, 1), RANGE),
    "is over": ((-2, -1), PAST),
    "is over and ends before it starts": ((-1, -2), PAST),
    "starts in more than 180 days": ((181, 182), FAR),
    "starts in more than 180 days and is too long": ((181, 362), FAR, RANGE),
    "starts in more than 180 days and is over": ((181, -1), FAR, PAST),
}


@pytest.mark.parametrize("which", TAKEN)
def test_a_good_window_is_taken_on_create_and_on_update(rooms, which):
    given = window(*TAKEN[which])

    made = rooms.create_room(**given)
    updated = rooms.update_room(room_id=rooms.create_room().id, **given)

    assert [ends(made), ends(updated)] == [given, given]


@pytest.mark.parametrize("which", REFUSED)
def test_a_bad_window_is_refused_on_create(rooms, which):
    days, *reasons = REFUSED[which]

    assert refusal(rooms.create_room, **window(*days)) == malformed(*reasons)


@pytest.mark.parametrize("which", REFUSED)
def test_a_bad_window_is_refused_on_update_and_changes_nothing(rooms, which):
    days, *reasons = REFUSED[which]
    room = rooms.create_room()

    refused = refusal(rooms.update_room, room_id=room.id, **window(*days))

    assert refused == malformed(*reasons)
    assert rooms.get_room(room.id) == room


def test_an_update_with_nulls_keeps_everything(rooms):
    ann, answers = user(), Answers()
    room = rooms.create_room(**window(1, 2), pstn_dial_out_enabled=True, participants=[as_role(ann, "Consumer")])

    updated = rooms.update_room(room_id=room.id, raw_response_hook=answers.take)

    assert json.loads(answers.request.content) == NO_ARGUMENTS
    assert updated == room
    assert rooms.get_room(room.id) == room
    assert roster(rooms, room) == {ann.raw_id: "Consumer"}


def test_an_update_of_dial_out_alone_changes_nothing_else(rooms):
    room = rooms.create_room()

    updated = rooms.update_room(room_id=room.id, pstn_dial_out_enabled=True)

    assert vars(updated) == {**vars(room), "pstn_dial_out_enabled": True}


def test_an_update_of_the_window_alone_keeps_dial_out(rooms):
    room = rooms.create_room(pstn_dial_out_enabled=True)

    updated = rooms.update_room(room_id=room.id, **window(1, 2))

    assert updated.pstn_dial_out_enabled is True


@pytest.mark.parametrize("end", ["valid_from", "valid_until"])
def test_an_update_of_one_end_alone_is_refused(rooms, end):
    room = rooms.create_room()

    refused = refusal(rooms.update_room, room_id=room.id, **{end: now() + DAY})

    assert refused == malformed(("", "validFrom and validUntil should be set together."))
    assert rooms.get_room(room.id) == room


def test_a_room_is_deleted_once_and_then_it_is_not_found(rooms):
    room, answers = rooms.create_room(), Answers()

    rooms.delete_room(room.id, raw_response_hook=answers.take)

    assert (answers.response.status_code, answers.response.text()) == (204, "")
    assert refusal(rooms.delete_room, room.id) == NOT_FOUND
    assert refusal(rooms.get_room, room.id) == NOT_FOUND
    assert refusal(rooms.update_room, room_id=room.id) == NOT_FOUND
    assert refusal(roster, rooms, room) == NOT_FOUND
