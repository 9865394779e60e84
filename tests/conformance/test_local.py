"""The built-in orchestrator passes the suite like anyone else's."""

from __future__ import annotations

import pytest

from turnout.testing.orchestrator import OrchestratorSuite


class TestLocal(OrchestratorSuite):
    @pytest.fixture
    def stack(self, tmp_path):
        return {
            "orchestrator": {"type": "local", "workers": 2, "logs": str(tmp_path / "logs")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }
