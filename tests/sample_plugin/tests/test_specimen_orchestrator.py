"""The orchestrator passes its suite."""

import pytest

from turnout.testing.orchestrator import OrchestratorSuite


class TestSpecimenOrchestrator(OrchestratorSuite):
    @pytest.fixture
    def stack(self, tmp_path):
        return {
            "orchestrator": {"type": "specimen", "folder": str(tmp_path / "runs")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }
