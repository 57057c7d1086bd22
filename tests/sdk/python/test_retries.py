"""Retries: a create whose answer was lost on the way is sent again by the client, and makes one room."""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from support import as_role, user


class LossyProxy(ThreadingHTTPServer):
    """Hands on what comes, but for the service's first answer: a bare status takes its place, or nothing at all."""

    def __init__(self, server, first_status):
        super().__init__(("127.0.0.1", 0), Handler)
        self.service, self.first_status = urlsplit(server.http).netloc, first_status
        self.requests, self.answers = [], []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        connection = HTTPConnection(self.server.service)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        connection.request("POST", self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.server.requests.append(self.headers)
        self.server.answers.append((answer.status, content.decode()))
        if len(self.server.answers) > 1:
            self.reply(answer.status, content, answer.headers["Content-Type"])
        elif self.server.first_status:
            self.reply(self.server.first_status, b"", "text/plain")

    def reply(self, status, content, media_type):
        self.send_response_only(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def through(clients, server):
    """Starts a proxy, and gives it and a client that calls the server through it."""
    proxies = []

    def through(first_status):
        proxy = LossyProxy(server, first_status)
        proxies.append(proxy)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.server_port}"
        return proxy, clients.open(clients.Rooms(url, AzureKeyCredential(server.access_key)))

    yield through
    for proxy in proxies:
        proxy.shutdown()
        proxy.server_close()


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_create_whose_answer_is_lost_behind_an_error_makes_one_room(rooms, through, status):
    before = [room.id for room in rooms.list_rooms()]
    proxy, lossy = through(status)

    room = lossy.create_room(pstn_dial_out_enabled=True, participants=[as_role(user())])

    assert [one.id for one in rooms.list_rooms() if one.id not in before] == [room.id]
    assert rooms.get_room(room.id) == room
    assert proxy.answers == [(201, proxy.answers[0][1])] * 2
    first, second = proxy.requests
    for header in ["Repeatability-Request-Id", "Repeatability-First-Sent"]:
        assert first[header] == second[header] is not None


def test_a_create_whose_answer_is_lost_with_the_connection_is_not_sent_again_by_this_client(rooms, through):
    before = [room.id for room in rooms.list_rooms()]
    proxy, lossy = through(None)

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        lossy.create_room()

    assert [status for status, _ in proxy.answers] == [201]
    assert len([one.id for one in rooms.list_rooms() if one.id not in before]) == 1


def test_two_creates_with_the_same_content_make_two_rooms(rooms):
    first, second = rooms.create_room(), rooms.create_room()

    assert first.id != second.id
