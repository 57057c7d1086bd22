"""Starts a server for a test file, and signs requests to it."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from email.utils import formatdate
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BINARY = os.environ.get("ROOMKEEPER_BIN", ROOT / "target/debug/roomkeeper")
DOCUMENT = ROOT / "openapi.yaml"
TOOLS = Path(sys.executable).parent  # where the packages put their commands


class Server:
    """A server with a database of its own, for as long as a `with` lasts."""

    def __init__(self):
        # Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
        self._folder = Path(tempfile.mkdtemp(prefix="roomkeeper-contract-", dir="/tmp"))
        self._folder.chmod(0o755)
        listen = ["--listen", "127.0.0.1:0", "--tls-listen", "off", "--log", "error"]
        command = [BINARY, "--data-dir", self._folder, *listen]
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
        self.http, self.access_key = endpoint["http"].rstrip("/"), endpoint["accessKey"]

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


def signature(access_key, method, target, host, body):
    """The headers that sign a request: its target as it goes out, and the bytes of its body."""
    date, digest = formatdate(usegmt=True), base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"{method}\n{target}\n{date};{host};{digest}"
    signed = hmac.digest(base64.b64decode(access_key), text.encode(), "sha256")
    return {
        "x-ms-date": date,
        "x-ms-content-sha256": digest,
        "Authorization": "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
        + base64.b64encode(signed).decode(),
    }
