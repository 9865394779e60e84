"""When an exported DAG runs, by Airflow's own timetables: the same at every site, whatever its airflow.cfg says."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from turnout.plugin_api import ParamSpec, ParamType, Schedule
from turnout.testing.plans import sample_plan
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

NOW = "2026-03-30T12:30:00+00:00"
PROBE = """
import json, sys
from datetime import datetime
import pendulum
import airflow.timetables.interval as interval, airflow.timetables.trigger as trigger
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction

folder, now = sys.argv[1:]
moment = pendulum.instance(datetime.fromisoformat(now))
interval.utcnow = trigger.utcnow = lambda: moment
bag, found = DagBag(folder), {}
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    timetable = coerce_to_core_timetable(dag.timetable)
    earliest = None if dag.start_date is None else pendulum.instance(dag.start_date)
    runs, last = [], None
    for _ in range(3):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last,
            restriction=TimeRestriction(earliest=earliest, latest=None, catchup=dag.catchup),
        )
        last = info.data_interval
        runs.append([one.in_timezone("UTC").isoformat() for one in (info.run_after, last.start, last.end)])
    found[dag.dag_id] = [type(timetable).__name__, dag.catchup, runs]
with open(f"{folder}/found.json", "w") as file:
    json.dump(found, file)
"""
BERLIN = {"timezone": "Europe/Berlin", "start": "2026-03-27T23:00:00Z"}
SCHEDULES = {
    "cron": Schedule(cron="30 6 * * *", **BERLIN),
    "cron_all": Schedule(cron="30 6 * * *", **BERLIN, catchup=True),
    "cron_bare": Schedule(cron="@daily"),
    "span": Schedule(every=7200.0, start="2026-03-28T01:00:00Z"),
    "span_all": Schedule(every=7200.0, start="2026-03-28T01:00:00Z", catchup=True),
}
SITES = list(itertools.product(["utc", "Asia/Tokyo"], ["False", "True"]))


def _at(*times: str) -> list[str]:
    return [f"2026-03-{time}:00+00:00" for time in times]


def _moments(*times: str) -> list[list[str]]:
    return [_at(time, time, time) for time in times]


def _spans(*times: str) -> list[list[str]]:
    """Runs of intervals: each after its end."""
    return [_at(after, before, after) for before, after in itertools.pairwise(times)]


EXPECTED: dict[str, Any] = {
    "cron": ["CronTriggerTimetable", False, _moments("30T04:30", "31T04:30")],
    "cron_all": ["CronTriggerTimetable", True, _moments("28T05:30", "29T04:30", "30T04:30")],
    "cron_bare": ["CronTriggerTimetable", False, _moments("31T00:00")],
    "span": ["DeltaTriggerTimetable", False, _moments("30T12:30", "30T14:30", "30T16:30")],
    "span_all": ["DeltaTriggerTimetable", True, _moments("28T01:00", "28T03:00", "28T05:00")],
    "cron_interval": ["CronDataIntervalTimetable", False, _spans("29T04:30", "30T04:30", "31T04:30")],
    "cron_all_interval": ["CronDataIntervalTimetable", True, _spans("28T05:30", "29T04:30", "30T04:30", "31T04:30")],
    "cron_bare_interval": ["CronDataIntervalTimetable", False, _spans("29T00:00", "30T00:00", "31T00:00")],
    "span_interval": ["DeltaDataIntervalTimetable", False, _spans("30T10:00", "30T12:00", "30T14:00", "30T16:00")],
    "span_all_interval": ["DeltaDataIntervalTimetable", True, _spans("28T01:00", "28T03:00", "28T05:00", "28T07:00")],
}
"""The timetable, whether it makes up for what has passed, and the first runs: after when, and the interval. Summer time
begins in Berlin on the 29th. Without catch-up, the latest that has passed is run and no other."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dags")
    since = ParamSpec(name="since", type=ParamType(kind="datetime"), source="interval_start")
    for (name, schedule), params in itertools.product(SCHEDULES.items(), [(), (since,)]):
        own = f"{name}_interval" if params else name
        plan = sample_plan(name=own, schedule=schedule, params=params)
        for file, data in AirflowOrchestrator(AirflowSettings()).compile(plan).files.items():
            (folder / file).write_bytes(data)
    return folder


@pytest.mark.parametrize(("zone", "intervals"), SITES)
def test_runs_are_the_same_at_every_site(exported: Path, tmp_path: Path, zone: str, intervals: str) -> None:
    config = {
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": zone,
        "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": intervals,
        "AIRFLOW__SCHEDULER__CREATE_DELTA_DATA_INTERVALS": intervals,
        "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": intervals,
    }
    command = [sys.executable, "-c", PROBE, str(exported), NOW]
    done = subprocess.run(command, env={**os.environ, **config}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((exported / "found.json").read_text())
    assert found.keys() == {f"sample.{name}" for name in EXPECTED}
    for name, (timetable, catchup, runs) in EXPECTED.items():
        kind, made_up, times = found[f"sample.{name}"]
        assert (kind, made_up, times[: len(runs)]) == (timetable, catchup, runs), name
