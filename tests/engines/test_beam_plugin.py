"""Beam: every pipeline of the corpus by the DirectRunner and by a portable job service on loopback."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from installed import need
from job_server import job_server

from turnout.testing.orchestrator import OrchestratorSuite

__all__ = ["job_server"]


@pytest.fixture(autouse=True)
def _beam() -> None:
    need("apache-beam", "2.77")


class BeamSuite(OrchestratorSuite):
    launchers = ("turnout_beam",)

    def check_bundle(self, bundle: Any, plan: Any) -> None:
        tree = ast.parse(bundle.files["job.py"])
        assert {type(node).__name__ for node in ast.walk(tree)} & {"For", "While", "Lambda"} == set()


@pytest.mark.filterwarnings("ignore")
class TestDirectRunner(BeamSuite):
    @pytest.fixture
    def stack(self, tmp_path: Any) -> dict[str, Any]:
        return {
            "orchestrator": {"type": "beam", "folder": str(tmp_path / "beam")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }


@pytest.mark.filterwarnings("ignore")
class TestPortableRunner(BeamSuite):
    @pytest.fixture
    def stack(self, tmp_path: Any, job_server: str) -> dict[str, Any]:
        orchestrator = {
            "type": "beam",
            "folder": str(tmp_path / "beam"),
            "runner": "PortableRunner",
            "job_endpoint": job_server,
            "options": {"environment_type": "LOOPBACK"},
        }
        return {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}
