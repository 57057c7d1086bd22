"""What every test may ask for: a server for its file, and clients of both kinds."""

import asyncio

import pytest
from support import Clients, Server


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def clients(request, server):
    with asyncio.Runner() as runner:
        clients = Clients(request.param, server, runner.run)
        yield clients
        clients.close()


@pytest.fixture
def rooms(clients):
    return clients.rooms()


@pytest.fixture
def identity(clients):
    return clients.identity()
