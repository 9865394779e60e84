"""What the tests of several plugins share."""

import socket

import pytest


@pytest.fixture
def port():
    """A port of this machine that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
