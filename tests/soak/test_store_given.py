"""The suite against a real server: any store that ``TURNOUT_TEST_STORE`` names, as ``TURNOUT_STORE`` would.

A bucket that may be filled is needed, and nothing else of it is touched: each test takes a new folder::

    TURNOUT_TEST_STORE='{"root": "az://container", "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
        "allow_http": true, "credentials": "${worker-env:AZURE_KEYS}"}' pytest tests/soak/test_store_given.py
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from turnout.components.artifact_store import ArtifactStore
from turnout.stores.address import from_environment
from turnout.testing.artifact_store import ArtifactStoreSuite

GIVEN = os.environ.get("TURNOUT_TEST_STORE", "")


@pytest.mark.skipif(not GIVEN, reason="TURNOUT_TEST_STORE names no store")
class TestGivenStore(ArtifactStoreSuite):
    @pytest.fixture
    def store(self) -> Iterator[ArtifactStore[Any]]:
        given = from_environment({"TURNOUT_STORE": GIVEN})
        root = f"{given.config.root.rstrip('/')}/turnout-test-{uuid.uuid4().hex[:12]}"
        store = type(given)(msgspec.structs.replace(given.config, root=root))
        yield store
        for entry in list(store.list("")):
            store.delete(entry.key)
