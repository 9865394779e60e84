"""The orchestrator `airflow` on a live Airflow: the suite, every DAG file parsed, the flights example end to end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samples import RUNS, WITHOUT_A_RUN, cases

from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.orchestrator import OrchestratorSuite

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
SAMPLE = {"rows": 4000, "iterations": 20}
TICK = """
from datetime import datetime
from turnout import INTERVAL_END, INTERVAL_START, pipeline, step

@step
def tell(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()

@pipeline(schedule="every 5s", start="2026-01-01")
def tick(since: datetime = INTERVAL_START, until: datetime = INTERVAL_END):
    tell(since, until)
"""
PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
assert "turnout" not in sys.modules
bag = DagBag(sys.argv[1])
assert not [name for name in sys.modules if name.partition(".")[0].startswith("turnout")]
tasks = {dag.dag_id: {task.task_id: task.retries for task in dag.tasks} for dag in bag.dags.values()}
Path(sys.argv[2]).write_text(json.dumps([tasks, bag.import_errors]))
"""


@pytest.fixture
def orchestrator(airflow_server: Any) -> dict[str, Any]:
    """The orchestrator's settings."""
    return {
        "type": "airflow",
        "url": airflow_server.url,
        "dags_folder": str(airflow_server.dags),
        "python": sys.executable,
    }


@pytest.fixture
def stack(orchestrator: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A stack with a store of its own."""
    return {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}


class TestAirflow(OrchestratorSuite):
    """What every orchestrator must do.

    Retries, a timeout and an empty map are tried by test_airflow_behaviour, texts by test_airflow_bad_input, falsy
    conditions and elements behind one by tasks in containers and in pods.
    """

    sample = (
        *WITHOUT_A_RUN,
        *RUNS,
        *cases("chained-maps", "failed-element", "guards-half-open", "parameters", "logical-time", "sub-pipelines",
               "skipped-long-after-a-failure", "skipped-map-of-a-failure", "names", "secret"),
    )  # fmt: skip

    @pytest.fixture
    def stack(self, orchestrator: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
        return {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}


def test_every_pipeline_of_the_corpus_is_parsed_without_turnout(
    airflow_server: Any, turnout_corpus: Corpus, stack: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    trial = Trial(turnout_corpus, stack, tmp_path / "trial")
    expected = {}
    for name in sorted({case.pipeline for case in CASES} | {"demands", "scheduled", "patient"}):
        plan = trial.launch(name, accept=trial.refused).plan
        for path, data in trial.orchestrator.compile(plan).files.items():
            (tmp_path / "dags" / name).mkdir(parents=True)
            (tmp_path / "dags" / name / path).write_bytes(data)
        retries = {step.name: step.retry.count or 5 for step in plan.steps}  # the site's own where nobody asks for any
        expected[f"corpus.{name}"] = {**retries, "finish-run": 2}
    answer = tmp_path / "answer.json"
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(tmp_path / "dags"), str(answer)],
        env={**airflow_server.environment, "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "5"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tasks, errors = json.loads(answer.read_text())
    assert errors == {}
    assert tasks == expected


def test_publishing_activates_the_schedule_and_unpublishing_ends_it(
    airflow_server: Any, turnout_corpus: Corpus, stack: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    trial = Trial(turnout_corpus, stack, tmp_path / "trial")
    launch = trial.launch("scheduled")
    place = Path(launch.activate())
    assert {path.name for path in place.iterdir()} >= {"environment.json", "scheduled_dag.py"}
    shown = airflow_server.call("GET", "/dags/corpus.scheduled")
    assert (shown["is_paused"], shown["timetable_summary"]) == (False, "0 0 * * *")
    trial.orchestrator.unpublish(launch.plan)
    assert not place.exists()
    assert airflow_server.call("GET", "/dags/corpus.scheduled")["is_paused"] is True


def test_the_flights_example_exported_triggered_and_verified(airflow_server: Any, tmp_path: Path) -> None:
    project = tmp_path / "flights"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".turnout", "__pycache__", ".pytest_cache"))
    (project / "stacks").mkdir(exist_ok=True)
    settings = {"type": "airflow", "url": airflow_server.url, "python": sys.executable}
    (project / "stacks" / "airflow.yaml").write_text(json.dumps({"extends": "local", "orchestrator": settings}))
    turnout = _command(project, tmp_path / "cache")
    given = [word for name, value in SAMPLE.items() for word in ("-p", f"{name}={value}")]
    folder = airflow_server.dags / "exported-flights"
    turnout("export", "pipeline.py", "--stack", "airflow", "-o", str(folder))
    turnout("export", "pipeline.py", "--stack", "airflow", "-o", str(folder), "--check")
    airflow_server.wait_until(lambda: _known(airflow_server, "flights.flights"), 60, "the exported DAG")
    run = airflow_server.trigger("flights.flights", {**SAMPLE, "turnout.options": {"no_cache": True}})
    local = json.loads(turnout("run", "pipeline.py", *given, "--no-cache", "--json"))["run"]
    state = airflow_server.wait("flights.flights", run, 300)
    assert state == "success", airflow_server.explain("flights.flights", run)
    runs = json.loads(turnout("runs", "list", "--stack", "airflow", "--json"))
    (found,) = (one for one in runs if one["started_by"] == "airflow (manual)")
    verified = json.loads(turnout("verify", local, found["run"], "--json"))
    assert verified["differences"] == []
    assert verified["by_digest"] > 10


def test_runs_that_airflow_starts_by_itself(airflow_server: Any, orchestrator: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ticking"\nversion = "1"\n')
    (tmp_path / "tick.py").write_text(TICK)
    (tmp_path / "stack.yaml").write_text(json.dumps({"extends": "local", "orchestrator": orchestrator}))
    turnout = _command(tmp_path, tmp_path / "cache")
    turnout("publish", "tick.py", "--stack", "stack.yaml")
    found: list[dict[str, Any]] = []

    def ran() -> bool:
        runs = json.loads(turnout("runs", "list", "--stack", "stack.yaml", "--json"))
        found[:] = [run for run in runs if run["state"] == "succeeded"]
        return bool(found)

    try:
        airflow_server.wait_until(ran, 120, "a scheduled run")
    finally:
        turnout("unpublish", "tick.py", "--stack", "stack.yaml")
    assert found[-1]["started_by"] == "airflow (scheduled)"
    assert turnout("artifacts", "load", found[-1]["run"], "tell", "--stack", "stack.yaml").strip() == "5.0"


def _command(project: Path, cache: Path) -> Callable[..., str]:
    """The command line, called in a project; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTEST"))}

    def turnout(*words: str) -> str:
        command = [str(Path(sys.executable).with_name("turnout")), *words]
        ended = subprocess.run(
            command,
            cwd=project,
            env={**environ, "TURNOUT_CACHE": str(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return turnout


def _known(server: Any, dag: str) -> bool:
    assert server.call("GET", "/importErrors")["import_errors"] == []
    return any(one["dag_id"] == dag for one in server.call("GET", "/dags?limit=100")["dags"])
