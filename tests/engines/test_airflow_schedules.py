"""Runs that a live Airflow starts by itself: days made up for, and one pipeline's asset that starts another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from commands import Project
from waiting import until

DAY = timedelta(days=1)
TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
PUBLISHED = ("daily", "latest", "taker", "maker")


@pytest.fixture(scope="module")
def published(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with its schedules active, the first of them three days ago."""
    folder = tmp_path_factory.mktemp("schedules")
    project = Project(Path(__file__).parent / "airflow_project", folder / "project", folder / "cache")
    source = project.folder / "schedules.py"
    source.write_text(source.read_text().replace("2026-01-01", f"{TODAY - 3 * DAY:%Y-%m-%d}"))
    project.stack("airflow", airflow_server.orchestrator)
    try:
        for name in PUBLISHED:
            project.call("publish", f"schedules.py:{name}", "--stack", "airflow")
        yield project
    finally:
        for name in PUBLISHED:
            project.call("unpublish", f"schedules.py:{name}", "--stack", "airflow")


def test_days_since_the_start_are_made_up_for(airflow_server: Any, published: Project) -> None:
    runs = _runs(airflow_server, published, "daily", lambda runs: len(runs) >= 3)
    told = sorted(_told(published, run) for run in runs)[:3]
    days = [TODAY - number * DAY for number in (3, 2, 1)]
    assert told == [[day.isoformat(), day.isoformat(), (day + DAY).isoformat()] for day in days]
    assert {run["started_by"] for run in runs} == {"airflow (scheduled)"}

    def succeeded() -> bool:
        known = airflow_server.call("GET", "/dags/proof.daily/dagRuns")["dag_runs"]
        assert {run["state"] for run in known} <= {"running", "success"}
        return {run["state"] for run in known} == {"success"}

    until(succeeded)  # the engine says so a little later than the records


def test_without_catch_up_only_the_latest_runs(airflow_server: Any, published: Project) -> None:
    (run,) = _runs(airflow_server, published, "latest", lambda runs: len(runs) >= 1)
    assert _told(published, run) == [TODAY.isoformat()]


def test_an_asset_that_one_pipeline_updates_starts_another(airflow_server: Any, published: Project) -> None:
    assert _listed(published, "taker") == []
    airflow_server.trigger("proof.maker", {"number": 5})
    (run,) = _runs(airflow_server, published, "taker", lambda runs: len(runs) >= 1)
    assert run["started_by"] == "airflow (asset_triggered)"
    (shown,) = airflow_server.call("GET", "/dags/proof.taker/dagRuns")["dag_runs"]
    (moment,) = _told(published, run)
    after = datetime.fromisoformat(shown["run_after"].replace("Z", "+00:00"))
    assert datetime.fromisoformat(moment) == after
    (event,) = airflow_server.call("GET", f"/dags/proof.taker/dagRuns/{shown['dag_run_id']}/upstreamAssetEvents")[
        "asset_events"
    ]
    assert (event["name"], event["source_dag_id"], event["source_task_id"]) == (
        'it\'s a "table"',
        "proof.maker",
        "make",
    )


def _listed(project: Project, pipeline: str) -> list[dict[str, Any]]:
    return list(project.json("runs", "list", "--stack", "airflow", "--pipeline", pipeline))


def _runs(server: Any, project: Project, pipeline: str, enough: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """The runs of a pipeline once there are enough, and all have succeeded."""
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        found[:] = _listed(project, pipeline)
        assert "failed" not in {run["state"] for run in found}
        return enough(found) and {run["state"] for run in found} == {"succeeded"}

    server.wait_until(ended, 180, f"runs of {pipeline}")
    return found


def _told(project: Project, run: dict[str, Any]) -> list[str]:
    return list(
        json.loads(project.call("artifacts", "load", run["run"], "tell", "--stack", "airflow").replace("'", '"'))
    )
