"""Connections: the ways in which a program can name the service, and the keys that open it."""

import base64
import json
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from support import HERE, Clients, Refusal, Server, as_role, refusal

DENIED = Refusal(ClientAuthenticationError, 401, "Denied", "Denied by the resource provider.")
CA_VARIABLES = {"sync": "REQUESTS_CA_BUNDLE", "async": "SSL_CERT_FILE"}


@pytest.fixture(scope="module")
def oldest(server):
    """The oldest of so many rooms that whoever lists them follows a link to a second page."""
    clients = Clients("sync", server)
    rooms = clients.rooms()
    ids = [rooms.create_room().id for _ in range(30)]
    clients.close()
    return ids[0]


@pytest.fixture
def default_ports(monkeypatch, server):
    """Connects whoever calls a default port to the server's own, as a test may not listen there; gives the table."""
    connect, ports = socket.socket.connect, {80: port(server.http), 443: port(server.https)}

    def redirected(self, address):
        return connect(self, (address[0], ports.get(address[1], address[1])))

    monkeypatch.setattr(socket.socket, "connect", redirected)
    return ports


def port(url):
    return urlsplit(url).port


def use(clients, make):
    """Makes both clients and uses them for one room, and lists all: the room's id, and the ids of all."""
    rooms, identity = clients.open(make(clients.Rooms)), clients.open(make(clients.Identity))
    room = rooms.create_room(participants=[as_role(identity.create_user())])
    return room.id, [room.id for room in rooms.list_rooms()]


def run(kind, connection_string, **env):
    """Runs the program of that kind, which has to see what certificates it trusts when it starts."""
    env = {**os.environ, "COMMUNICATION_CONNECTION_STRING": connection_string, **env}
    command = [sys.executable, HERE / f"program_{kind}.py"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_unmodified_program_over_https_with_the_services_certificate_authority(clients, server, oldest, host):
    connection_string = server.connection_string.replace("127.0.0.1", host)

    done = run(clients.kind, connection_string, **{CA_VARIABLES[clients.kind]: server.ca_file})

    assert done.returncode == 0, done.stderr
    made, listed = json.loads(done.stdout)
    assert [listed[0], listed[-1]] == [made, oldest]


STRINGS = {
    "as it is announced": "endpoint=https://{}/;accesskey={}",
    "with its parts the other way round and in other letters": "AccessKey={1};Endpoint=https://{0}",
    "with a semicolon at its end": "endpoint=https://{}/;accesskey={};",
    "without a scheme": "endpoint={}/;accesskey={}",
    "with several slashes": "endpoint=https://{}//;accesskey={}",
}


@pytest.mark.parametrize("form", STRINGS)
def test_https_by_a_connection_string(clients, server, oldest, form):
    connection_string = STRINGS[form].format(server.https.removeprefix("https://"), server.access_key)

    made, listed = use(
        clients, lambda Client: Client.from_connection_string(connection_string, connection_verify=server.ca_file)
    )

    assert [listed[0], listed[-1]] == [made, oldest]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("slash", ["", "/"], ids=["bare", "with a slash"])
def test_an_endpoint_and_a_key(clients, server, oldest, scheme, slash):
    named = getattr(server, scheme) + slash, AzureKeyCredential(server.access_key)

    made, listed = use(clients, lambda Client: Client(*named, connection_verify=server.ca_file))

    assert [listed[0], listed[-1]] == [made, oldest]


@pytest.mark.parametrize(
    "endpoint", ["http://localhost", "http://localhost:80", "http://localhost:80/", "https://localhost:443/"]
)
def test_an_endpoint_at_a_default_port_named_or_not(clients, server, oldest, default_ports, endpoint):
    credential = AzureKeyCredential(server.access_key)

    made, listed = use(clients, lambda Client: Client(endpoint, credential, connection_verify=server.ca_file))

    assert [listed[0], listed[-1]] == [made, oldest]


@pytest.fixture
def spelled():
    with Server("--public-host", "LocalHost") as server:
        yield server


def test_an_endpoint_in_other_letters_that_the_service_was_told_of(clients, spelled, default_ports, monkeypatch):
    monkeypatch.setitem(default_ports, 80, port(spelled.http))
    credential = AzureKeyCredential(spelled.access_key)

    made, listed = use(clients, lambda Client: Client("http://LocalHost", credential))

    assert listed == [made]


def test_an_endpoint_in_other_letters_that_the_service_was_not_told_of_is_refused(clients, server):
    endpoint = server.http.replace("127.0.0.1", "LocalHost")
    rooms = clients.open(clients.Rooms(endpoint, AzureKeyCredential(server.access_key)))

    assert refusal(rooms.create_room) == DENIED


def test_https_without_the_certificate_authority_is_refused_by_the_client(clients):
    rooms = clients.rooms(connection_verify=True, retry_total=0)

    with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        rooms.create_room()


def test_the_client_speaks_https_to_whatever_a_connection_string_names(clients, server):
    rooms = clients.open(clients.Rooms.from_connection_string(server.http_connection_string, retry_total=0))

    with pytest.raises((ServiceRequestError, ServiceResponseError), match="SSL"):
        rooms.create_room()


def test_a_wrong_key_opens_nothing(clients, server):
    credential = AzureKeyCredential(base64.b64encode(os.urandom(64)).decode())
    rooms, identity = (clients.open(Client(server.http, credential)) for Client in [clients.Rooms, clients.Identity])

    assert refusal(rooms.create_room) == DENIED
    assert refusal(list, rooms.list_rooms()) == DENIED
    assert refusal(identity.create_user) == DENIED


def test_a_body_that_was_changed_after_it_was_signed_is_refused(rooms):
    def change(request):
        body = request.http_request.data
        request.http_request.data = body.replace("false", "true ")
        assert len(request.http_request.data) == len(body)

    refused = refusal(rooms.create_room, raw_request_hook=change)

    assert refused == DENIED._replace(message="Request 'x-ms-content-sha256' differs from generated content hash.")
