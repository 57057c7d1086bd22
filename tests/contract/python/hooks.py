"""What schemathesis loads: signs every case, makes some of them fit what is there, and writes down the answers."""

import json
import os
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from zlib import crc32

import requests
import schemathesis
from support import signature

SERVER, ACCESS_KEY = os.environ["CONTRACT_SERVER"], os.environ["CONTRACT_ACCESS_KEY"]
ANSWERS = open(os.environ["CONTRACT_ANSWERS"], "a")
UNKNOWN_ROOM = "999058871389949120"
DAY = timedelta(days=1)


class Signed(requests.auth.AuthBase):
    """Signs a request when it is whole: its target and its bytes are those that go out."""

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        host = urlsplit(request.url).netloc
        request.headers.update(signature(ACCESS_KEY, request.method, request.path_url, host, body))
        return request


schemathesis.auth.set_from_requests(Signed())


def answer(method, path, version):
    given = requests.request(method, f"{SERVER}{path}", params={"api-version": version}, auth=Signed(), timeout=30)
    given.raise_for_status()
    return given.json()


def room():
    return answer("POST", "/rooms", "2025-03-13")["id"]


def user():
    return answer("POST", "/identities", "2023-10-01")["identity"]["id"]


def page():
    [token] = parse_qs(urlsplit(answer("GET", "/rooms", "2025-03-13")["nextLink"]).query)["nextLink"]
    return token


USERS = [user() for _ in range(10)]
ROOMS = [room() for _ in range(31)]  # so many that there is a second page


@schemathesis.hook
def before_call(context, case, kwargs):
    """Values that only a server's own data, or its clock, make good are rare among those that a schema describes."""
    body = dict(case.body) if isinstance(case.body, dict) else {}
    sent = f"{case.path_parameters} {case.query} {body}".encode(errors="replace")

    def chance(name, of):  # by what is sent, so that runs repeat
        return crc32(sent, crc32(name.encode())) % of

    # Cases share what they hold: it is replaced, never changed.
    if "roomId" in case.path_parameters and (chosen := chance("room", 4)) < 3:
        case.path_parameters = {"roomId": room() if chosen else UNKNOWN_ROOM}
    if "id" in case.path_parameters and chance("user", 2):
        case.path_parameters = {"id": user()}
    if "nextLink" in case.query and chance("page", 2):
        case.query = {**case.query, "nextLink": page()}
    now = datetime.now(timezone.utc)
    if body.keys() & {"validFrom", "validUntil"} and chance("window", 2):
        case.body = body = {**body, "validFrom": now.isoformat(), "validUntil": (now + DAY).isoformat()}
    if isinstance(body.get("participants"), dict) and chance("users", 4):
        case.body = {**body, "participants": dict(zip(USERS, body["participants"].values()))}
    if operation_id(context) == "Rooms_Create" and (chosen := chance("repeat", 4)) < 2:
        case.headers = case.headers.copy()
        case.headers["Repeatability-Request-ID"] = str(uuid4())
        case.headers["Repeatability-First-Sent"] = format_datetime(now - 2 * DAY * chosen, usegmt=True)


@schemathesis.hook
def after_call(context, case, response):
    [code] = response.headers.get("x-ms-error-code", [""])
    print(json.dumps([operation_id(context), response.status_code, code]), file=ANSWERS, flush=True)


def operation_id(context):
    return context.operation.definition.raw["operationId"]
