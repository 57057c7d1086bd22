"""The client that openapi-python-client makes from openapi.yaml, with a hook that signs."""

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib import import_module
from uuid import uuid4

import httpx
import pytest
from support import DOCUMENT, TOOLS, signature

PACKAGE = "generated_roomkeeper"
OPERATIONS = {
    "health": {"health_live", "health_ready"},
    "identity": {
        "communication_identity_create",
        "communication_identity_delete",
        "communication_identity_issue_access_token",
        "communication_identity_revoke_access_tokens",
        "signing_keys_list",
    },
    "rooms": {
        "participants_list",
        "participants_update",
        "rooms_create",
        "rooms_delete",
        "rooms_get",
        "rooms_get_by_name",
        "rooms_get_occupancy",
        "rooms_get_or_create_by_name",
        "rooms_list",
        "rooms_update",
    },
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """What the generator said, and the folder of the package that it made."""
    folder = tmp_path_factory.mktemp("generated")
    command = [TOOLS / "openapi-python-client", "generate", "--fail-on-warning", "--meta=none"]
    made = subprocess.run(
        [*command, "--path", DOCUMENT, "--output-path", folder / PACKAGE],
        env={**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"},  # it formats by ruff
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    sys.path.insert(0, str(folder))
    yield made, folder / PACKAGE
    sys.path.remove(str(folder))


@pytest.fixture
def api(generated):
    """Finds a module of the client: `api("rooms.rooms_get")`."""
    return lambda name: import_module(f"{PACKAGE}.api.{name}")


@pytest.fixture
def models(generated):
    return import_module(f"{PACKAGE}.models")


@pytest.fixture
def client(generated, server):
    """A generated client, and all that it lacks: a hook that signs when the request is whole."""

    def sign(request: httpx.Request):
        target, host = request.url.raw_path.decode(), request.headers["host"]
        request.headers.update(signature(server.access_key, request.method, target, host, request.read()))

    hooks = {"event_hooks": {"request": [sign]}}
    with import_module(PACKAGE).Client(base_url=server.http, httpx_args=hooks) as client:
        yield client


@pytest.fixture
def created(api, models, client):
    """Makes a room, from a body or none."""

    def create(*body):
        version = models.RoomsApiVersion.V2025_03_13
        return api("rooms.rooms_create").sync(client=client, api_version=version, **dict(zip(["body"], body)))

    return create


def user():
    return f"8:acs:{uuid4()}_{uuid4()}"


def roster(models, kind, users):
    """A map of users to their roles, or to None."""
    as_given = {who: role and {"role": role} for who, role in users.items()}
    return getattr(models, kind).from_dict({"participants": as_given})


def in_hours(hours):
    return datetime.now(timezone.utc) + timedelta(hours=hours)


def test_the_generator_reads_every_operation_and_warns_of_nothing(generated):
    made, folder = generated

    assert made.returncode == 0, made.stdout
    assert "warning" not in made.stdout.lower(), made.stdout
    modules = {
        tag.name: {file.stem for file in tag.glob("*.py")} - {"__init__"}
        for tag in (folder / "api").iterdir()
        if tag.is_dir() and tag.name != "__pycache__"
    }
    assert modules == OPERATIONS


def test_a_room_is_created_with_its_roster_and_window_and_read_back(api, models, client, created):
    ann, bob, opens, closes = user(), user(), in_hours(1), in_hours(2)
    body = roster(models, "CreateRoomRequest", {ann: "Presenter", bob: "Consumer"})
    body.valid_from, body.valid_until, body.pstn_dial_out_enabled = opens, closes, True

    room = created(body)

    assert (room.valid_from, room.valid_until, room.pstn_dial_out_enabled) == (opens, closes, True)
    version = models.RoomsApiVersion.V2025_03_13
    assert api("rooms.rooms_get").sync(room.id, client=client, api_version=version) == room
    version = models.RoomsApiVersion.V2025_03_13
    listed = api("rooms.participants_list").sync(room.id, client=client, api_version=version)
    assert [(one.raw_id, one.role.value) for one in listed.value] == [(ann, "Presenter"), (bob, "Consumer")]


def test_a_room_is_patched_and_null_leaves_a_member_as_it_is(api, models, client, created):
    room, opens, closes = created(models.CreateRoomRequest(pstn_dial_out_enabled=True)), in_hours(3), in_hours(4)
    body = models.UpdateRoomRequest(valid_from=opens, valid_until=closes, pstn_dial_out_enabled=None)

    version = models.RoomsApiVersion.V2025_03_13
    patched = api("rooms.rooms_update").sync(room.id, client=client, api_version=version, body=body)

    assert (patched.id, patched.created_at) == (room.id, room.created_at)
    assert (patched.valid_from, patched.valid_until, patched.pstn_dial_out_enabled) == (opens, closes, True)


def test_participants_are_added_changed_and_removed_by_one_patch(api, models, client, created):
    ann, bob, eve = user(), user(), user()
    room = created(roster(models, "CreateRoomRequest", {ann: "Attendee", bob: "Attendee"}))
    body = roster(models, "UpdateParticipantsRequest", {ann: "Presenter", bob: None, eve: "Consumer"})

    version = models.RoomsApiVersion.V2025_03_13
    patched = api("rooms.participants_update").sync(room.id, client=client, api_version=version, body=body)

    assert patched.to_dict() == {}
    version = models.RoomsApiVersion.V2025_03_13
    listed = api("rooms.participants_list").sync(room.id, client=client, api_version=version)
    assert {one.raw_id: one.role.value for one in listed.value} == {ann: "Presenter", eve: "Consumer"}


def test_rooms_are_listed_newest_first(api, models, client, created):
    older, newer = created(), created()

    version = models.RoomsApiVersion.V2025_03_13
    page = api("rooms.rooms_list").sync(client=client, api_version=version)

    assert [room.id for room in page.value[:2]] == [newer.id, older.id]


def test_a_room_is_deleted_and_then_not_found(api, models, client, created):
    room = created()

    version = models.RoomsApiVersion.V2025_03_13
    deleted = api("rooms.rooms_delete").sync_detailed(room.id, client=client, api_version=version)

    assert deleted.status_code == 204
    version = models.RoomsApiVersion.V2025_03_13
    read = api("rooms.rooms_get").sync_detailed(room.id, client=client, api_version=version)
    assert (read.status_code, read.parsed.error.code) == (404, "NotFound")


def test_a_refused_body_is_explained_by_the_details_of_the_error(models, created):
    refused = created(models.CreateRoomRequest(valid_until=in_hours(-1)))

    [detail] = refused.error.details
    assert (refused.error.code, detail.target) == ("BadRequest", "ValidUntil")
    assert detail.message == "The time range end is in the past."


def test_a_user_is_created_with_a_token(api, models, client):
    body = models.CommunicationIdentityCreateRequest.from_dict({"createTokenWithScopes": ["voip"]})

    version = models.IdentityApiVersion.V2023_10_01
    made = api("identity.communication_identity_create").sync(client=client, api_version=version, body=body)

    assert made.identity.id.startswith("8:acs:")
    assert made.access_token.token.count(".") == 2
