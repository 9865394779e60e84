"""An Airflow as sites have it: on PostgreSQL, reading every Python file; what lies in its dags folder, whom a trial starts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

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
ROWS = ("-p", "rows=4000", "-p", "iterations=20")

MODULE = 'print("this module was imported")\nfrom airflow.nowhere import DAG\n'
READ_BY_AIRFLOW = """\
import sys
from airflow.utils.file import list_py_file_paths
for safe_mode in (False, True):
    print(*sorted(list_py_file_paths(sys.argv[1], safe_mode)), sep="\\n")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """An Airflow that takes each Python file, and each archive, for one of DAGs; PostgreSQL listens on loopback."""
    need("apache-airflow", "3.3")
    with postgres("airflow") as database:
        settings = {
            "DATABASE__SQL_ALCHEMY_CONN": database,
            "CORE__DAG_DISCOVERY_SAFE_MODE": "False",
            "CORE__DAG_IGNORE_FILE_SYNTAX": "regexp",
        }
        with AirflowServer(tmp_path_factory.mktemp("airflow") / "home", settings=settings) as started:
            yield started


@pytest.fixture(scope="module")
def project(server: AirflowServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("published")
    made = Project(Path(__file__).parent / "airflow_project", folder / "project", folder / "cache")
    (made.folder / "looks_like_a_dag.py").write_text(MODULE)
    source = made.folder / "schedules.py"  # else a run for each day since would keep this Airflow busy
    source.write_text(source.read_text().replace("2026-01-01", "2099-01-01"))
    shared = server.orchestrator
    for name, more in {"airflow": {}, "prod": {"instance": "prod"}, "dev": {"instance": "dev"}}.items():
        made.stack(name, {**shared, **more})
    return made


def test_no_file_of_an_export_but_the_dag_is_read(server: AirflowServer, project: Project) -> None:
    folders = [server.dags / "exports", server.dags / "exports", server.dags]
    for name, folder in zip(("maker", "daily", "taker"), folders, strict=True):
        words = ("export", f"schedules.py:{name}", "--stack", "airflow", "-o", str(folder))
        project.call(*words)
        project.call(*words, "--check")
    expected = {str(server.dags / name) for name in ("exports/maker_dag.py", "exports/daily_dag.py", "taker_dag.py")}
    for syntax in ("glob", "regexp"):
        done = subprocess.run(
            [sys.executable, "-c", READ_BY_AIRFLOW, str(server.dags)],
            env={**server.environment, "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX": syntax},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert sorted(line for line in done.stdout.splitlines() if line.startswith("/")) == sorted([*expected] * 2)
    known = {"proof.maker", "proof.daily", "proof.taker"}
    server.wait_until(lambda: _dags(server) >= known, 60, "the exported DAGs")
    run = server.trigger("proof.maker", {"number": 3})
    assert server.wait("proof.maker", run) == "success", server.explain("proof.maker", run)
    assert server.call("GET", "/importErrors")["import_errors"] == []
    assert _dags(server) == known
    assert "this module was imported" not in "".join(path.read_text() for path in server.home.rglob("*.py.log"))
    for path in sorted(server.dags.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_instances_have_dags_of_their_own_and_are_unpublished_by_their_ids(
    server: AirflowServer, project: Project
) -> None:
    for stack in ("airflow", "prod", "dev"):
        project.call("publish", "schedules.py:maker", "--stack", stack)
    assert _active(server) == {"proof.maker", "proof.maker.prod", "proof.maker.dev"}
    project.call("unpublish", "schedules.py:maker", "--stack", "dev")
    assert _active(server) == {"proof.maker", "proof.maker.prod"}
    run = server.trigger("proof.maker.prod", {"number": 2})
    assert server.wait("proof.maker.prod", run) == "success", server.explain("proof.maker.prod", run)
    (listed,) = [run for run in project.json("runs", "list", "--stack", "prod") if run["stack"] == "prod"]
    assert listed["state"] == "succeeded"
    source = project.folder / "schedules.py"
    text = source.read_text()
    source.write_text(text.replace("def maker", "def renamed"))
    try:
        project.call("unpublish", "proof.maker.prod", "--stack", "prod")
        project.call("unpublish", "maker", "--stack", "airflow")
    finally:
        source.write_text(text)
    assert _active(server) == set()
    assert not [path for path in server.dags.iterdir() if path.name.startswith("proof")]


def test_a_trial_starts_nothing_that_listens_to_an_asset(server: AirflowServer, project: Project) -> None:
    for name in ("maker", "taker"):
        project.call("publish", f"schedules.py:{name}", "--stack", "airflow")
    project.call("run", "schedules.py:maker", "--stack", "airflow", "-p", "number=5")
    run = server.trigger("proof.maker", {"number": 6})
    assert server.wait("proof.maker", run) == "success", server.explain("proof.maker", run)
    server.wait_until(lambda: _runs(server, "proof.taker"), 60, "the run that an asset starts")
    events = [
        event["source_dag_id"]
        for shown in _runs(server, "proof.taker")
        for event in server.call("GET", f"/dags/proof.taker/dagRuns/{shown['dag_run_id']}/upstreamAssetEvents")[
            "asset_events"
        ]
    ]
    assert "proof.maker" in events
    assert "proof.maker.run" not in events
    assert json.dumps(server.call("GET", "/assets/events")).count("proof.maker.run") == 0
    for name in ("maker", "taker"):
        project.call("unpublish", f"schedules.py:{name}", "--stack", "airflow")


class TestOnPostgres:
    """The same as on this machine."""

    sample: ClassVar[tuple[str, ...]] = ("test_a_case_of_the_suite",)

    def test_a_case_of_the_suite(
        self, server: AirflowServer, turnout_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
        (tmp_path / "trial").mkdir()
        stack = {"orchestrator": server.orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}
        (case,) = (case for case in CASES if case.name == "quoting")
        OrchestratorSuite().test_a_case(
            Trial(turnout_corpus, stack, tmp_path / "trial"), Launch.submit, turnout_corpus, case
        )

    def test_flights(self, server: AirflowServer, tmp_path: Path) -> None:
        project = Project(FLIGHTS, tmp_path / "flights", tmp_path / "cache")
        project.stack("airflow", server.orchestrator)
        there = project.start("run", "pipeline.py", *ROWS, "--stack", "airflow", "--no-cache", "--json")
        here = project.json("run", "pipeline.py", *ROWS, "--no-cache")
        printed, _ = there.communicate(timeout=400)
        assert there.returncode == 0, printed
        run = json.loads(printed[printed.index("{\n") :])
        assert run["orchestrator"] == "airflow"
        verified = project.json("verify", here["run"], run["run"])
        assert verified["differences"] == []
        assert verified["by_digest"] > 10


def _dags(server: AirflowServer) -> set[str]:
    return {dag["dag_id"] for dag in server.call("GET", "/dags?limit=100&exclude_stale=true")["dags"]}


def _active(server: AirflowServer) -> set[str]:
    dags = server.call("GET", "/dags?limit=100&exclude_stale=true")["dags"]
    return {dag["dag_id"] for dag in dags if not dag["is_paused"] and dag["dag_id"].startswith("proof.maker")}


def _runs(server: AirflowServer, dag: str) -> Any:
    return server.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
