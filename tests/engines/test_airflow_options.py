"""Airflow's own options of pipelines and steps on a live Airflow: pools, queues, priority, callbacks, a deadline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Project

SOURCE = """
import time
from turnout import pipeline, step

@step
def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

@step
def last(waited: float, broken: bool) -> float:
    if broken:
        raise ValueError("broken on purpose")
    return waited

@pipeline
def watched(seconds: float = 0.0, broken: bool = False):
    last(wait(seconds), broken)
"""
ALERTS = """
from pathlib import Path

def note(name, context):
    run = context["dag_run"]
    partial = Path({folder!r}, f"{{name}}.part")
    partial.write_text(run["dag_run_id"] if isinstance(run, dict) else run.run_id)
    partial.replace(partial.with_suffix(""))

def done(context):
    note("done", context)

def failed(context):
    note("failed", context)

def late(context):
    note("late", context)

def waited(context):
    note("waited", context)
"""
DAG = "options.watched.run"
WAIT = {"pool": "two slots", "pool_slots": 2, "queue": "quick", "priority_weight": 7, "owner": "ann"}


@pytest.fixture(scope="module")
def alerts(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which what Airflow calls leaves a file by its name."""
    folder = tmp_path_factory.mktemp("alerts")
    module = airflow_server.home / "plugins" / "alerts_of_options.py"
    module.write_text(ALERTS.format(folder=str(folder)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(airflow_server: Any, alerts: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A pipeline, and a stack that says of it all that this is about."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "source").mkdir()
    (folder / "source" / "watched.py").write_text(SOURCE)
    (folder / "source" / "pyproject.toml").write_text('[project]\nname = "options"\nversion = "1"\n')
    made = Project(folder / "source", folder / "project", folder / "cache")
    calls = {"deadline": 2, "on_deadline_callback": "alerts_of_options:late"}
    calls |= {
        f"on_{name}_callback": f"alerts_of_options:{call}"
        for name, call in (("success", "done"), ("failure", "failed"))
    }
    stack = {
        "extends": "local",
        "orchestrator": airflow_server.orchestrator,
        "steps": {"wait": {"airflow": {**WAIT, "on_success_callback": ["alerts_of_options:waited"]}}},
        "pipelines": {"watched": {"airflow": calls}},
    }
    (made.folder / "stacks").mkdir()
    (made.folder / "stacks" / "airflow.yaml").write_text(json.dumps(stack))
    return made


def test_a_pool_a_late_run_and_one_that_fails(airflow_server: Any, alerts: Path, project: Project) -> None:
    said = project.call("run", "watched.py", "--stack", "airflow", code=1)
    assert "Airflow has no pool 'two slots', which the step wait takes a slot of" in said
    assert not (airflow_server.dags / DAG).exists()
    pool = {"name": WAIT["pool"], "slots": 1, "description": "", "include_deferred": False}
    airflow_server.call("POST", "/pools", pool)
    said = project.call("run", "watched.py", "--stack", "airflow", code=1)
    assert "the step wait takes 2 slots of the pool 'two slots', which has 1" in said
    airflow_server.call("PATCH", f"/pools/{WAIT['pool'].replace(' ', '%20')}", {**pool, "slots": 2})

    run = json.loads(project.call("run", "watched.py", "-p", "seconds=8", "--stack", "airflow", "--json"))
    assert run["state"] == "succeeded"
    tasks = {task["task_id"]: task for task in airflow_server.tasks(DAG, run["engine_run"])}
    assert {name: tasks["wait"][name] for name in ("pool", "pool_slots", "queue", "priority_weight")} == {
        **{name: WAIT[name] for name in ("pool", "pool_slots", "queue")},
        "priority_weight": WAIT["priority_weight"] + 2,  # Airflow adds what comes after, by its default rule
    }
    assert "ann" in airflow_server.call("GET", f"/dags/{DAG}")["owners"]
    _called(airflow_server, alerts, run, "late", "done", "waited")

    project.call("run", "watched.py", "-p", "broken=true", "--stack", "airflow", code=1)
    (broken,) = (one for one in project.json("runs", "list", "--stack", "airflow") if one["state"] == "failed")
    _called(airflow_server, alerts, project.json("runs", "show", broken["run"], "--stack", "airflow"), "failed")


def _called(server: Any, alerts: Path, run: dict[str, Any], *names: str) -> None:
    for name in names:
        server.wait_until((alerts / name).exists, 60, f"the callback {name}")
        assert (alerts / name).read_text() == run["engine_run"]
