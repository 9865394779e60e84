"""The orchestrator suite in the modes of Beam that the shorter tiers leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turnout.testing.orchestrator import OrchestratorSuite

pytest.importorskip("apache_beam", reason="make soak runs this where the engines are: .venv-engines")


def stack(folder: Path, **settings: Any) -> dict[str, Any]:
    return {
        "orchestrator": {"type": "beam", "folder": str(folder / "beam"), **settings},
        "artifact_store": {"root": str(folder / "store")},
    }


@pytest.mark.filterwarnings("ignore")
class TestSeveralProcesses(OrchestratorSuite):
    launchers = ("turnout_beam",)

    @pytest.fixture
    def stack(self, tmp_path: Path) -> dict[str, Any]:
        return stack(tmp_path, options={"direct_running_mode": "multi_processing", "direct_num_workers": 2})


@pytest.mark.filterwarnings("ignore")
class TestProcessAStep(OrchestratorSuite):
    launchers = ("turnout_beam",)

    @pytest.fixture
    def stack(self, tmp_path: Path) -> dict[str, Any]:
        return stack(tmp_path, isolation="process")
