"""Participants: who may enter a room and as what, and what is refused where."""

import json

import pytest
from azure.communication.rooms import (
    CommunicationUserIdentifier,
    MicrosoftTeamsUserIdentifier,
    ParticipantRole,
    PhoneNumberIdentifier,
    UnknownIdentifier,
)
from support import Answers, as_role, bad_request, malformed, refusal, roster, user

NO_ROLE = "Invalid participant role. The valid roles are: Presenter, Attendee, Consumer, Collaborator."


class RoomOfTwo:
    """A room with Ann, who presents, and Bob, who attends."""

    def __init__(self, rooms):
        self._rooms, self.ann, self.bob = rooms, user(), user()
        self.id = rooms.create_room(participants=[as_role(self.ann, "Presenter"), as_role(self.bob)]).id
        self.both = {self.ann.raw_id: "Presenter", self.bob.raw_id: "Attendee"}

    def put(self, *participants, **options):
        self._rooms.add_or_update_participants(room_id=self.id, participants=list(participants), **options)

    def remove(self, *participants, **options):
        self._rooms.remove_participants(room_id=self.id, participants=list(participants), **options)

    @property
    def roster(self):
        return roster(self._rooms, self)


@pytest.fixture
def room(rooms):
    return RoomOfTwo(rooms)


@pytest.mark.parametrize("role", ["Presenter", "Attendee", "Consumer", "Collaborator"])
def test_a_user_is_added_in_a_role_and_everybody_else_stays(room, role):
    cid = user()

    room.put(as_role(cid, role))

    assert room.roster == {**room.both, cid.raw_id: role}


@pytest.mark.parametrize("role", ParticipantRole)
def test_a_participant_changes_to_a_role_and_everybody_else_stays(room, role):
    room.put(as_role(room.bob, role))

    assert room.roster == {**room.both, room.bob.raw_id: role}


def test_a_user_who_is_added_without_a_role_is_an_attendee(room):
    cid = user()

    room.put(as_role(cid))

    assert room.roster == {**room.both, cid.raw_id: "Attendee"}


@pytest.mark.parametrize("role", [(), (None,)], ids=["no role", "a role of none"])
def test_a_participant_who_is_sent_without_a_role_is_an_attendee_again(room, role):
    room.put(as_role(room.ann, *role))

    assert room.roster == {**room.both, room.ann.raw_id: "Attendee"}


def test_a_participant_whose_role_is_null_on_the_wire_is_an_attendee_again(room):
    ann, answers = as_role(room.ann), Answers()
    ann.role = None

    room.put(ann, raw_response_hook=answers.take)

    assert json.loads(answers.request.content) == {"participants": {room.ann.raw_id: {"role": None}}}
    assert room.roster == {**room.both, room.ann.raw_id: "Attendee"}


def test_a_participant_is_listed_as_the_kind_of_user_that_was_added(rooms, room):
    first, _ = rooms.list_participants(room.id)

    assert first == as_role(CommunicationUserIdentifier(room.ann.raw_id), "Presenter")
    assert first.communication_identifier.kind == "communication_user"


def test_a_change_of_the_roster_is_answered_with_200_and_an_empty_object(room):
    answers = Answers()

    room.put(as_role(user()), raw_response_hook=answers.take)

    assert (answers.response.status_code, answers.response.text()) == (200, "{}")


def test_a_change_without_anybody_changes_nothing(room):
    room.put()
    room.remove()

    assert room.roster == room.both


def test_participants_are_removed_by_identifier_or_as_participants_and_everybody_else_stays(room):
    cid = user()
    room.put(as_role(cid, "Consumer"))

    room.remove(room.ann, as_role(room.bob))

    assert room.roster == {cid.raw_id: "Consumer"}


def test_the_removal_of_somebody_who_is_not_in_the_room_changes_nothing(room):
    room.remove(user())

    assert room.roster == room.both


UNSUPPORTED = [
    CommunicationUserIdentifier("8:acs:nonExistentParticipant"),
    CommunicationUserIdentifier("invalid"),
    UnknownIdentifier("28:unknown"),
    PhoneNumberIdentifier("+14255550123"),
    MicrosoftTeamsUserIdentifier("8f3a2d5e-0000-4000-8000-1c9b3f7e2a10"),
]
NOT_A_USER = pytest.mark.parametrize("identifier", UNSUPPORTED, ids=lambda identifier: identifier.raw_id)


@NOT_A_USER
def test_a_removal_that_names_what_is_no_user_is_refused_and_nobody_is_removed(room, identifier):
    refused = refusal(room.remove, room.ann, identifier)

    assert refused == bad_request(f"Communication identifier {identifier.raw_id} is not supported.")
    assert room.roster == room.both


@NOT_A_USER
def test_what_is_no_user_is_refused_when_it_is_added_and_nobody_is_added(room, identifier):
    refused = refusal(room.put, as_role(user()), as_role(identifier))

    assert refused == bad_request(f"Communication identifier {identifier.raw_id} is not supported.")
    assert room.roster == room.both


@NOT_A_USER
def test_what_is_no_user_is_refused_on_create(rooms, identifier):
    refused = refusal(rooms.create_room, participants=[as_role(user()), as_role(identifier)])

    assert refused == bad_request("Invalid format for communication identifier.")


@pytest.mark.parametrize("api_version", ["2023-06-14", "2024-04-15"])
def test_at_older_versions_a_malformed_id_is_refused_in_their_words(clients, room, api_version):
    older = clients.rooms(api_version=api_version)

    refused = refusal(
        older.remove_participants, room_id=room.id, participants=[CommunicationUserIdentifier("invalid")]
    )

    assert refused == bad_request("Invalid value for the Participants.")


@pytest.mark.parametrize("role", ["Kafka", "presenter"])
def test_an_unknown_role_is_refused_and_nobody_is_added(rooms, room, role):
    dan = user()
    participants = [as_role(user()), as_role(dan, role)]

    refusals = [refusal(rooms.create_room, participants=participants), refusal(room.put, *participants)]

    expected = malformed((f"$.participants.{dan.raw_id}.role", NO_ROLE))
    assert refusals == [expected, expected]
    assert room.roster == room.both


def test_a_roster_holds_350_and_not_one_more(rooms):
    room = rooms.create_room(participants=[as_role(user()) for _ in range(350)])

    refused = refusal(rooms.add_or_update_participants, room_id=room.id, participants=[as_role(user())])

    assert refused.status == 400
    assert [target for _, target, _ in refused.details] == ["$.participants"]
    assert len(roster(rooms, room)) == 350
