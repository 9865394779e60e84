"""What a run is called, on a live Airflow: by the records, in Airflow's own view, and in what its tracker is told."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Project

SOURCE = """
import time
from pathlib import Path
from turnout import log_metric, pipeline, step, when

@step
def weigh() -> int:
    raise RuntimeError("no scales")

@step
def convert(weight: int) -> int:
    return weight

@step
def toll(weight: int) -> int:
    return weight

@step
def first(scratch: str) -> int:
    log_metric("number", 1)
    return 1

@step
def long(number: int, scratch: str) -> int:
    Path(scratch, "begun").touch()
    while not Path(scratch, "go").exists():
        time.sleep(0.1)
    return number + 1

@step
def last(number: int) -> int:
    log_metric("number", number)
    return number

@pipeline
def hidden(levy: bool = False):
    weight = weigh()
    converted = convert(weight)
    with when(levy == True):
        toll(weight)
        toll.named("later")(converted)

@pipeline
def limited(scratch: str):
    last(long(first(scratch), scratch))

@pipeline
def patient(scratch: str):
    last(long(first(scratch), scratch))
"""
ALERTS = """
from pathlib import Path

def done(context):
    with Path({folder!r}, "called").open("a") as file:
        file.write("done\\n")

def failed(context):
    with Path({folder!r}, "called").open("a") as file:
        file.write("failed\\n")
"""
HIDDEN, LIMITED, PATIENT = (f"states.{name}.run" for name in ("hidden", "limited", "patient"))


@pytest.fixture(scope="module")
def alerts(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in which what Airflow calls leaves a line."""
    folder = tmp_path_factory.mktemp("alerts")
    module = airflow_server.home / "plugins" / "alerts_of_states.py"
    module.write_text(ALERTS.format(folder=str(folder)), encoding="utf-8")
    return folder / "called"


@pytest.fixture(scope="module")
def project(airflow_server: Any, alerts: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The pipelines, and a stack with MLflow whose `limited` runs have a time limit."""
    folder = tmp_path_factory.mktemp("states")
    (folder / "source").mkdir()
    (folder / "source" / "flow.py").write_text(SOURCE)
    (folder / "source" / "pyproject.toml").write_text('[project]\nname = "states"\nversion = "1"\n')
    made = Project(folder / "source", folder / "project", folder / "cache")
    calls = {
        "on_success_callback": "alerts_of_states:done",
        "on_failure_callback": "alerts_of_states:failed",
    }
    plain = {"extends": "local", "orchestrator": airflow_server.orchestrator}
    plain["pipelines"] = {"hidden": {"airflow": calls}, "limited": {"airflow": {"run_timeout": 3600}}}
    tracked = {**plain, "tracker": {"type": "mlflow", "uri": f"sqlite:///{made.folder / 'mlflow.db'}"}}
    (made.folder / "stacks").mkdir()
    for name, stack in (("airflow", plain), ("tracked", tracked)):
        (made.folder / "stacks" / f"{name}.yaml").write_text(json.dumps(stack))
    return made


def test_a_failure_that_nothing_shows_but_its_record(airflow_server: Any, alerts: Path, project: Project) -> None:
    """All that comes after it is skipped, and Airflow would call such a run a success."""
    said = project.start("run", "flow.py:hidden", "--stack", "airflow")
    printed, _ = said.communicate(timeout=300)
    assert said.returncode == 1, printed
    (listed,) = project.json("runs", "list", "--stack", "airflow", "--pipeline", "hidden")
    run = project.json("runs", "show", listed["run"], "--stack", "airflow")
    assert (listed["state"], run["state"]) == ("failed", "failed")
    assert f"run {run['run']} failed" in printed
    path = f"/dags/{HIDDEN}/dagRuns/{run['engine_run']}"
    assert airflow_server.call("GET", path)["state"] == "failed"
    tasks = {task["task_id"]: task for task in airflow_server.tasks(HIDDEN, run["engine_run"])}
    states = {name: task["state"] for name, task in tasks.items()}
    assert (states["weigh"], states["toll"], states["later"]) == ("failed", "skipped", "skipped")
    assert (states["finish-run"], tasks["finish-run"]["try_number"]) == ("failed", 1)
    airflow_server.wait_until(alerts.exists, 60, "the callback")
    assert alerts.read_text() == "failed\n"
    assert "not committed: weigh, convert" in airflow_server.log(HIDDEN, run["engine_run"], "finish-run")


def test_a_time_limit_of_the_run_and_its_tracker(airflow_server: Any, project: Project, tmp_path: Path) -> None:
    """Airflow then skips what has not begun, the end of the run included: nothing of ours is called any more."""
    process = _run(project, "limited", tmp_path, "tracked")
    try:
        airflow_server.wait_until(lambda: (tmp_path / "begun").exists() or process.poll() is not None, 120, "the step")
        _begin_earlier(airflow_server, LIMITED)
        printed, _ = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            process.kill()
    (run,) = project.json("runs", "list", "--stack", "tracked", "--pipeline", "limited")
    assert run["state"] == "failed", printed
    assert f"turnout runs sync {run['run'][:8]} --stack tracked" in printed
    assert _tracked(project) == "RUNNING"
    shown = project.call("runs", "show", run["run"], "--stack", "tracked")
    assert "airflow has not marked its end" in shown
    assert _tracked(project) == "RUNNING", "showing a run only reads"
    assert "the run's state: failed" in project.call("runs", "sync", run["run"], "--stack", "tracked")
    assert _tracked(project) == "FAILED"
    assert "not marked" not in project.call("runs", "show", run["run"], "--stack", "tracked")
    (tmp_path / "go").touch()
    done = project.json("runs", "resume", run["run"], "--stack", "tracked")
    assert (done["marked"], done["state"]) == (True, "succeeded")
    assert {step["step"]: step["state"] for step in done["steps"]} == dict.fromkeys(
        ("first", "long", "last"), "succeeded"
    )
    assert airflow_server.call("GET", f"/dags/{LIMITED}/dagRuns/{done['engine_run']}")["state"] == "success"
    assert _tracked(project) == "FINISHED"


def test_a_run_that_somebody_marks_failed_in_airflow(airflow_server: Any, project: Project, tmp_path: Path) -> None:
    process = _run(project, "patient", tmp_path, "airflow")
    try:
        airflow_server.wait_until(lambda: (tmp_path / "begun").exists() or process.poll() is not None, 120, "the step")
        (run,) = project.json("runs", "list", "--stack", "airflow", "--pipeline", "patient")
        assert run["state"] == "running"
        path = f"/dags/{PATIENT}/dagRuns/{project.json('runs', 'show', run['run'], '--stack', 'airflow')['engine_run']}"
        airflow_server.call("PATCH", path, {"state": "failed"})
        printed, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 1, printed
    (tmp_path / "go").touch()
    done = project.json("runs", "resume", run["run"], "--stack", "airflow")
    assert (done["state"], [step["state"] for step in done["steps"]]) == ("succeeded", ["succeeded"] * 3)
    assert airflow_server.call("GET", path)["state"] == "success"


def _run(project: Project, pipeline: str, scratch: Path, stack: str) -> Any:
    return project.start("run", f"flow.py:{pipeline}", "-p", f"scratch={scratch}", "--stack", stack)


def _begin_earlier(server: Any, dag: str) -> None:
    """Have Airflow believe that the only run of a DAG began so long ago that its time is over."""
    with closing(sqlite3.connect(server.home / "airflow.db", timeout=60)) as database, database:
        earlier = "strftime('%Y-%m-%d %H:%M:%f000', start_date, '-2 hours')"
        changed = database.execute(f"UPDATE dag_run SET start_date = {earlier} WHERE dag_id = ?", (dag,))
        assert changed.rowcount == 1


def _tracked(project: Project) -> str:
    """What MLflow calls the only run that it has."""
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as database:
        ((state,),) = database.execute("SELECT status FROM runs").fetchall()
    return str(state)
