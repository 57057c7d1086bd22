"""The quickstarts that users copy from, in Python and in bash with curl, run as they are."""

import os
import re
import subprocess
import sys

import pytest
from support import HERE, ROOT, Clients, Server

PYTHON = [sys.executable, ROOT / "examples/quickstart/python/quickstart.py"]
CURL = [ROOT / "examples/quickstart/curl/quickstart.sh"]
BOTH = pytest.mark.parametrize("command", [PYTHON, CURL], ids=["python", "curl"])

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00"
LINES = [
    f"made two users; Ann's token lives until {TIME}",
    r"made room \d{16,18}",
    f"it is open until {TIME}",
    f"now it is open until {TIME}",
    "there (is 1 room|are \\d+ rooms)",
    "Ann is Presenter",
    "Bob is Consumer",
    "removed both",
    "deleted the room",
]


def run(command, connection_string=None, ca_file=None):
    """Runs a quickstart with a connection string, and a file of certificates for either to trust."""
    settings = {
        "COMMUNICATION_CONNECTION_STRING": connection_string,
        "REQUESTS_CA_BUNDLE": ca_file,
        "CURL_CA_BUNDLE": ca_file,
    }
    env = {name: value for name, value in {**os.environ, **settings}.items() if value}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


@BOTH
@pytest.mark.parametrize("protocol", ["http", "https"])
def test_the_quickstart_runs(server, command, protocol):
    string = {"http": server.http_connection_string, "https": server.connection_string}[protocol]

    done = run(command, string, server.ca_file)

    assert done.returncode == 0, done.stderr
    assert re.fullmatch("\n".join(LINES) + "\n", done.stdout), done.stdout


@pytest.fixture(scope="module")
def crowded():
    """A server with 60 rooms."""
    with Server() as server:
        clients = Clients("sync", server)
        rooms = clients.rooms()
        for _ in range(60):
            rooms.create_room()
        clients.close()
        yield server


@BOTH
def test_the_quickstart_counts_the_rooms_of_every_page(crowded, command):
    done = run(command, crowded.http_connection_string)

    assert "there are 61 rooms\n" in done.stdout, done.stderr


@BOTH
def test_the_quickstart_without_a_connection_string_says_what_to_set(command):
    done = run(command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Set COMMUNICATION_CONNECTION_STRING to one of the strings")


def test_the_quickstart_for_curl_ends_at_the_first_refusal_and_says_which(server):
    done = run(CURL, server.http_connection_string.replace("accesskey=", "accesskey=AAAA"))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("POST /identities?api-version=2023-10-01 was refused with 401: {")
    assert "Denied by the resource provider." in done.stderr


def test_the_quickstart_for_curl_says_when_it_does_not_trust_the_service(server):
    done = run(CURL, server.connection_string)

    assert (done.returncode, done.stdout) == (1, "")
    assert "certificate" in done.stderr
    assert done.stderr.endswith("POST /identities?api-version=2023-10-01 got no answer\n")


def test_the_quickstart_for_python_names_the_packages_that_it_is_tested_with():
    wanted, tested = (
        {line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")}
        for folder in [ROOT / "examples/quickstart/python", HERE]
    )

    assert wanted < tested
