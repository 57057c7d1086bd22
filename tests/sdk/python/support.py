"""Starts a server for a test file, and makes the vendor's clients that talk to it."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import azure.communication.identity
import azure.communication.identity.aio
import azure.communication.rooms
import azure.communication.rooms.aio
import pytest
from azure.communication.rooms import CommunicationUserIdentifier, RoomParticipant
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BINARY = os.environ.get("ROOMKEEPER_BIN", ROOT / "target/debug/roomkeeper")
DAY = timedelta(days=1)


class Server:
    """A server with a database of its own, for as long as a `with` lasts."""

    def __init__(self, *flags):
        # Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
        self._folder = Path(tempfile.mkdtemp(prefix="roomkeeper-python-", dir="/tmp"))
        self._folder.chmod(0o755)
        listen = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--log", "warn"]
        command = [BINARY, "--data-dir", self._folder, *listen, *flags]
        env = {name: value for name, value in os.environ.items() if name != "ROOMKEEPER_DATABASE_URL"}
        env["ROOMKEEPER_DRAIN"] = "0s"
        self._process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
        too_late = threading.Timer(60, self._process.kill)
        too_late.start()
        announced = self._process.stdout.readline()
        too_late.cancel()
        if not announced:
            pytest.fail(f"the server ended with {self._end()} before it was ready")
        endpoint = json.loads((self._folder / "endpoint.json").read_text())
        self.http, self.https = endpoint["http"], endpoint["https"]
        self.connection_string = endpoint["connectionString"]
        self.http_connection_string = endpoint["httpConnectionString"]
        self.access_key, self.ca_file = endpoint["accessKey"], endpoint["caFile"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        assert self._end() == 0

    def _end(self):
        self._process.stdout.close()
        try:
            return self._process.wait(timeout=60)
        finally:
            self._process.kill()
            shutil.rmtree(self._folder)


class Blocking:
    """Something of an asynchronous client whose calls and iterations block, so that a test reads the same for both kinds."""

    def __init__(self, inner, run):
        self._inner, self._run = inner, run

    def _settle(self, value):
        if inspect.isawaitable(value):
            return self._run(value)
        if callable(value) or hasattr(value, "__anext__"):
            return Blocking(value, self._run)
        return value

    def __getattr__(self, name):
        return self._settle(getattr(self._inner, name))

    def __call__(self, *args, **named):
        return self._settle(self._inner(*args, **named))

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._settle(self._run(self._inner.__anext__()))
        except StopAsyncIteration:
            raise StopIteration from None


class Clients:
    """The vendor's clients of one kind, sync or async, the latter made to block. What it opens it closes."""

    def __init__(self, kind, server, run=None):
        self.kind, self._server, self._run, self._opened = kind, server, run, []
        rooms, identity = azure.communication.rooms, azure.communication.identity
        self.Rooms = (rooms.aio if kind == "async" else rooms).RoomsClient
        self.Identity = (identity.aio if kind == "async" else identity).CommunicationIdentityClient

    def rooms(self, **options):
        return self._named(self.Rooms, options)

    def identity(self, **options):
        return self._named(self.Identity, options)

    def _named(self, Client, options):
        trusting = {"connection_verify": self._server.ca_file, **options}
        return self.open(Client.from_connection_string(self._server.connection_string, **trusting))

    def open(self, client):
        opened = Blocking(client, self._run) if self.kind == "async" else client
        self._opened.append(opened)
        return opened

    def close(self):
        for client in self._opened:
            if hasattr(client, "close"):  # the sync client of identities has none
                client.close()


def user():
    """A user that nobody else uses; rooms take users that the identity service has never seen."""
    return CommunicationUserIdentifier(f"8:acs:{uuid4()}_{uuid4()}")


def as_role(who, *role):
    """A participant with a role, or without one."""
    return RoomParticipant(communication_identifier=who, **dict(zip(["role"], role)))


def roster(rooms, room):
    """The users of a room by their raw ids, each with its role."""
    return {one.communication_identifier.raw_id: one.role for one in rooms.list_participants(room.id)}


def now():
    return datetime.now(timezone.utc)


def instant(text):
    """An instant from an answer, read as the vendor's own tests do: with one to six digits of a second, or none."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z")


def is_now(text, since, ahead=timedelta()):
    """Whether an instant lies so far ahead of now, now being some time between `since` and this moment."""
    return since <= instant(text) - ahead <= now()


class Answers(list):
    """Collects the answers to calls that are made with `raw_response_hook=answers.take`."""

    def take(self, answer):
        self.append(answer)

    @property
    def request(self):
        return self[-1].http_request

    @property
    def response(self):
        return self[-1].http_response


class Refusal(NamedTuple):
    """What a caller reads from the error with which a call was refused."""

    error: type
    status: int
    code: str
    message: str
    details: list = []


def refusal(call, *args, **named):
    with pytest.raises(HttpResponseError) as caught:
        call(*args, **named)
    error = caught.value
    details = [(one.code, one.target, one.message) for one in error.error.details]
    return Refusal(type(error), error.status_code, error.error.code, error.error.message, details)


def malformed(*reasons):
    """The refusal of a body, with a reason for each pair of target and message."""
    message = "The request could not be understood by the server due to malformed syntax."
    details = [("BadArgument", target, reason) for target, reason in reasons]
    return Refusal(HttpResponseError, 400, "BadRequest", message, details)


def bad_request(message):
    """A refusal whose message says it all."""
    return Refusal(HttpResponseError, 400, "BadRequest", message)


NOT_FOUND = Refusal(ResourceNotFoundError, 404, "NotFound", "The server cannot find the requested resource.")
