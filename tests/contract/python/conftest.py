"""What every test may ask for: a server for its file."""

import pytest
from support import Server


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server
