"""What a tracker's client says of a secret is cut only once the secret is taken out of it."""

from __future__ import annotations

import pytest

from turnout.plugin_api import RunError
from turnout_mlflow.connection import Connection

TOKEN = "kanary-token-Zq7-9f8e7d"


def test_a_secret_at_the_border_of_a_long_error_is_taken_out(monkeypatch):
    monkeypatch.setattr("turnout_mlflow.connection.find_spec", lambda name: True)
    monkeypatch.setattr(Connection, "_client", None, raising=False)
    connection = Connection("http://x", username=None, password=None, token=TOKEN, timeout=1, retries=0)
    for length in range(470, 500):
        with pytest.raises(RunError) as raised, connection.client("logging"):
            raise ValueError("x" * length + TOKEN)
        assert TOKEN[:6] not in str(raised.value)
