"""Features brought online by a step that Airflow and Kubeflow Pipelines run: once for each time, and no further back."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from commands import Project
from installed import need
from pyarrow import parquet

from turnout.features import retrieval
from turnout.features.local.settings import LocalFeatureSettings
from turnout.features.local.store import LocalFeatureStore

FLOW = """
from datetime import datetime
from turnout import LOGICAL_TIME, Features, pipeline

@pipeline
def nightly(day: datetime = LOGICAL_TIME):
    Features("weather:wind").materialize(until=day)
"""
STORE = {"views": {"weather": {"keys": ["airport"], "timestamp": "since"}}}
Make = Callable[[dict[str, Any]], Project]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the project, with a stack for an orchestrator and a view of two days."""

    def project(orchestrator: dict[str, Any]) -> Project:
        source = tmp_path / "source"
        (source / "stacks").mkdir(parents=True)
        (source / "pyproject.toml").write_text("[project]\nname = 'weather'\nversion = '1'\n")
        (source / "nightly.py").write_text(FLOW)
        settings = {"type": "local", "folder": str(tmp_path / "features"), **STORE}
        stack = {"extends": "local", "orchestrator": orchestrator, "feature_store": settings}
        (source / "stacks" / "engine.yaml").write_text(json.dumps(stack))
        (tmp_path / "features").mkdir()
        since = pa.array([day(1), day(2)], pa.timestamp("us", "UTC"))
        table = pa.table({"airport": ["JFK", "JFK"], "since": since, "wind": [10.0, 20.0]})
        parquet.write_table(table, tmp_path / "features" / "weather.parquet")
        return Project(source, tmp_path / "project", tmp_path / "cache")

    return project


def test_airflow_materializes_for_the_time_of_each_run(airflow_server: Any, make: Make, tmp_path: Path) -> None:
    project = make(airflow_server.orchestrator)
    project.call("publish", "nightly.py", "--stack", "engine")
    try:
        for time in (day(1, 12), day(1, 6), day(2)):
            run = airflow_server.trigger("weather.nightly", {}, time.isoformat())
            state = airflow_server.wait("weather.nightly", run)
            assert state == "success", airflow_server.explain("weather.nightly", run)
            check(project, tmp_path, time)
    finally:
        project.call("unpublish", "nightly.py", "--stack", "engine")


@pytest.mark.filterwarnings("ignore")
def test_kubeflow_materializes_for_the_time_of_each_run(make: Make, tmp_path: Path) -> None:
    need("kfp", "2.17")
    project = make({"type": "kubeflow-local", "folder": str(tmp_path / "kubeflow")})
    project.call("run", "nightly.py", "--stack", "engine", "--at", day(1).isoformat())
    assert "`turnout run --effects` lets it" in done(project)["why"]
    for time in (day(1, 12), day(1, 6), day(2)):
        project.call("run", "nightly.py", "--stack", "engine", "--effects", "--at", time.isoformat())
        check(project, tmp_path, time)


def check(project: Project, folder: Path, time: datetime) -> None:
    """What the newest run has brought online, and what is online now."""
    found = done(project)["views"]["weather"]
    settings = {"folder": str(folder / "features"), **STORE}
    store = LocalFeatureStore(msgspec.convert(settings, LocalFeatureSettings))
    (view,) = store.describe()
    wind = retrieval.online(store, pa.table({"airport": ["JFK"]}), ["weather:wind"])["wind"].to_pylist()
    if time == day(1, 6):  # what a run before this one has brought further
        assert (found["rows"], found["note"]) == (0, f"it is online until {day(1, 12).isoformat()} already")
        assert (view.materialized_until, wind) == (day(1, 12), [10.0])
    else:
        assert (found["rows"], found["until"]) == (1, time.isoformat())
        assert (view.materialized_until, wind) == (time, [20.0] if time == day(2) else [10.0])


def done(project: Project) -> Any:
    """What the step of the newest run says."""
    return ast.literal_eval(project.call("artifacts", "load", "latest", "materialize_weather", "--stack", "engine"))


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, number, hour, tzinfo=timezone.utc)
