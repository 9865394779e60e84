"""Airflow on PostgreSQL: a case of the suite and the flights example, the same as on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_server import AirflowServer
from commands import Project
from installed import need
from postgres import postgres

from turnout.api.launch import Launch
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.orchestrator import OrchestratorSuite

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
SAMPLE = ("-p", "rows=4000", "-p", "iterations=20")
CASE = "quoting"
"""The case of the suite that is tried."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty database of a PostgreSQL of this module's own, which listens on loopback."""
    with postgres("airflow") as url:
        yield url


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """An Airflow on that database."""
    need("apache-airflow", "3.3")
    settings = {"DATABASE__SQL_ALCHEMY_CONN": database}
    with AirflowServer(tmp_path_factory.mktemp("airflow-postgres"), settings=settings) as one:
        yield one


@pytest.fixture
def orchestrator(server: AirflowServer) -> dict[str, Any]:
    """The orchestrator's settings."""
    return server.orchestrator


def test_a_case_of_the_suite(
    orchestrator: dict[str, Any], turnout_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
    (tmp_path / "trial").mkdir()
    stack = {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}
    (case,) = (case for case in CASES if case.name == CASE)
    OrchestratorSuite().test_a_case(
        Trial(turnout_corpus, stack, tmp_path / "trial"), Launch.submit, turnout_corpus, case
    )


def test_flights_is_the_same_as_on_this_machine(orchestrator: dict[str, Any], tmp_path: Path) -> None:
    project = Project(FLIGHTS, tmp_path / "flights", tmp_path / "cache")
    project.stack("airflow", orchestrator)
    there = project.start("run", "pipeline.py", *SAMPLE, "--stack", "airflow", "--no-cache", "--json")
    here = project.json("run", "pipeline.py", *SAMPLE, "--no-cache")
    printed, _ = there.communicate(timeout=400)
    assert there.returncode == 0, printed
    run = json.loads(printed[printed.index("{\n") :])
    assert run["orchestrator"] == "airflow"
    verified = project.json("verify", here["run"], run["run"])
    assert verified["differences"] == []
    assert verified["by_digest"] > 10
