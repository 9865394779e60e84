"""A pipeline's schedule as a recurring run of Kubeflow Pipelines: pure, nothing is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from turnout.plugin_api import Plan, UnsupportedError, cron_fields, options_of, parse_time, see_defaults
from turnout_kubeflow.options import PipelineOptions


class Recurrence(msgspec.Struct, frozen=True, kw_only=True):
    """When Kubeflow starts runs by itself: by a cron expression whose first field is a second, or in intervals."""

    cron: str | None = None
    seconds: int | None = None
    start: str | None = None
    catchup: bool = False
    concurrency: int = 1
    """How many runs may go on at once; a run that is due waits for its turn."""

    @property
    def trigger(self) -> tuple[str, dict[str, Any]]:
        """How Kubeflow calls a trigger of this kind, and what it is told of it."""
        if self.cron is not None:
            return "cron_schedule", {"cron": self.cron}
        return "periodic_schedule", {"interval_second": self.seconds}


def recurrence(plan: Plan, timezone: str) -> Recurrence | None:
    """The schedule of a plan, None where it has none.

    Args:
        timezone: the zone by which the back end reads cron expressions.

    Raises:
        UnsupportedError: for a schedule that Kubeflow cannot keep.
        PlanError: for a parameter that a run by schedule would be without.
    """
    schedule = plan.schedule
    if schedule is None:
        return None
    if schedule.assets:
        raise UnsupportedError(
            f"{plan.name} runs when assets change, which Kubeflow Pipelines does not know",
            where=plan.where,
            fix="give it a cron expression or an interval, or choose another stack",
        )
    if schedule.cron is not None and schedule.timezone != timezone:
        raise UnsupportedError(
            f"{plan.name} is scheduled by the time of {schedule.timezone}, and Kubeflow Pipelines goes by {timezone}",
            where=plan.where,
            why="a back end has one time zone for all schedules, its CRON_SCHEDULE_TIMEZONE",
            fix=f"write the schedule for {timezone}; or, if the back end has another, set orchestrator.timezone",
        )
    if schedule.every is not None and (schedule.every < 1 or schedule.every != int(schedule.every)):
        raise UnsupportedError(
            f"{plan.name} runs every {schedule.every:g} seconds, and Kubeflow Pipelines counts whole ones",
            where=plan.where,
        )
    see_defaults(plan, "Kubeflow")
    return Recurrence(
        cron=None if schedule.cron is None else " ".join(["0", *cron_fields(schedule.cron)]),
        seconds=None if schedule.every is None else int(schedule.every),
        start=schedule.start,
        catchup=schedule.catchup,
        concurrency=options_of(plan, PipelineOptions).max_concurrency,
    )


def begin(when: Recurrence, now: datetime, last: datetime | None, since: datetime | None) -> datetime | None:
    """The start that Kubeflow is told: a moment *before* the first run. None: it counts from now.

    Kubeflow runs at the first time of a cron expression after its start, or an interval after it; if that is past, it
    runs at once: for each missed time where the schedule catches up, else for the latest. None is run twice: a schedule
    that replaces another goes on behind it.

    Args:
        last: the time of the last run by the schedule that this one replaces.
        since: when that schedule was made.
    """
    start = None if when.start is None else parse_time(when.start)
    span = timedelta(seconds=when.seconds or 1)
    replaces = last is not None or since is not None
    if start is not None and (when.catchup or start > now or not replaces):
        return max(start - span, last) if when.catchup and last is not None else start - span
    anchor = start or last or since
    if when.seconds is None or anchor is None:
        return None
    return anchor + (now - anchor) // span * span
