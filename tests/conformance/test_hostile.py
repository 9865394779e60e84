"""The hostile engine passes the suite: whatever an engine does to the runtime, the results are the same."""

from __future__ import annotations

import pytest

from turnout import builtin
from turnout.registry import Registry
from turnout.testing import hostile
from turnout.testing.orchestrator import OrchestratorSuite


class TestHostile(OrchestratorSuite):
    @pytest.fixture
    def registry(self):
        return Registry([builtin, hostile])

    @pytest.fixture
    def stack(self, tmp_path):
        return {
            "orchestrator": {"type": "hostile", "seed": 1, "logs": str(tmp_path / "logs")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }
