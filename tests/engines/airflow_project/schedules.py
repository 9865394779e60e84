"""Pipelines that Airflow starts by itself: for each day since a start, and when another one has made something."""

from __future__ import annotations

from datetime import datetime

from turnout import INTERVAL_END, INTERVAL_START, LOGICAL_TIME, pipeline, step

START = "2026-01-01"


@step
def tell(moment: datetime, since: datetime | None, until: datetime | None) -> list[str]:
    """The times as they arrive."""
    return [time.isoformat() for time in (moment, since, until) if time is not None]


@pipeline(schedule="@daily", start=START, catchup=True)
def daily(moment: datetime = LOGICAL_TIME, since: datetime = INTERVAL_START, until: datetime = INTERVAL_END):
    """Makes up for the days since the start."""
    tell(moment, since, until)


@pipeline(schedule="0 0 * * *", start=START)
def latest(moment: datetime = LOGICAL_TIME):
    """Makes up for nothing but the latest."""
    tell(moment, None, None)


@step(airflow={"outlets": ['it\'s a "table"']})
def make(number: int) -> int:
    """Updates an asset."""
    return number


@pipeline
def maker(number: int = 1):
    """What the other one waits for."""
    make(number)


@pipeline(schedule=['it\'s a "table"'])
def taker(moment: datetime = LOGICAL_TIME):
    """Runs when the table was made."""
    tell(moment, None, None)
