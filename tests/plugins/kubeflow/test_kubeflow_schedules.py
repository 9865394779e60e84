"""Schedules as Kubeflow reads them: seconds first, one Sunday, and a start before the first run."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from turnout.plugin_api import Place, Schedule, UnsupportedError
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow.schedules import Recurrence, begin, recurrence


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


NOW = at("2026-03-10T15:20:00")
DAILY = {"cron": "0 0 6 * * *"}
HOURLY = {"seconds": 3600}


@pytest.mark.parametrize(
    ("when", "last", "expected"),
    [
        (DAILY, None, None),
        ({**DAILY, "start": "2026-03-01T06:00:00Z"}, None, "2026-03-01T05:59:59"),
        ({**DAILY, "start": "2026-03-01T06:00:00Z"}, "2026-03-09T06:00:00", None),
        ({**DAILY, "start": "2026-03-20T06:00:00Z"}, None, "2026-03-20T05:59:59"),
        ({**DAILY, "start": "2026-03-01T06:00:00Z", "catchup": True}, None, "2026-03-01T05:59:59"),
        ({**DAILY, "start": "2026-03-01T06:00:00Z", "catchup": True}, "2026-03-04T06:00:00", "2026-03-04T06:00:00"),
        (HOURLY, None, None),
        (HOURLY, "2026-03-10T14:50:00", "2026-03-10T14:50:00"),
        (HOURLY, "2026-03-08T23:50:00", "2026-03-10T14:50:00"),
        ({**HOURLY, "start": "2026-03-01T00:10:00Z"}, None, "2026-02-28T23:10:00"),
        ({**HOURLY, "start": "2026-03-01T00:10:00Z"}, "2026-03-10T14:50:00", "2026-03-10T15:10:00"),
        ({**HOURLY, "start": "2026-03-20T06:00:00Z"}, None, "2026-03-20T05:00:00"),
        ({**HOURLY, "start": "2026-03-01T06:00:00Z", "catchup": True}, None, "2026-03-01T05:00:00"),
    ],
)
def test_what_has_passed_is_run_once_at_most(when, last, expected):
    """Kubeflow begins one interval, or one time of the expression, after the start that it is told; where that is past
    and it is not to catch up, with the latest time since."""
    found = begin(Recurrence(**when), NOW, None if last is None else at(last), None)
    assert found == (None if expected is None else at(expected))


def test_an_interval_is_kept_when_its_schedule_is_replaced():
    """Even where it has not run yet; else a schedule that is replaced often enough would never run."""
    assert begin(Recurrence(**HOURLY), NOW, None, at("2026-03-10T14:45:00")) == at("2026-03-10T14:45:00")


def test_seconds_come_first():
    found = recurrence(sample_plan(sample_step("fit"), schedule=Schedule(cron="0 6 * * 5-7")), "UTC")
    assert found is not None
    assert found.cron == "0 0 6 * * 5,6,0"


def test_a_refusal_names_the_line():
    plan = sample_plan(
        sample_step("fit"), schedule=Schedule(assets=("rows",)), place=Place(file="pipelines/daily.py", line=7)
    )
    with pytest.raises(UnsupportedError) as caught:
        recurrence(plan, "UTC")
    assert str(caught.value.where) == "pipelines/daily.py:7"
