"""The local engine without processes: for pytest and debuggers. What it commits is marked unsealed."""

from __future__ import annotations

import time

from turnout.components.progress import Change, Watcher, ignore
from turnout.engines.local.schedule import Schedule
from turnout.model.records import Mark
from turnout.runtime.finish import finish_run
from turnout.runtime.session import Session
from turnout.runtime.step import run_step


def run_inline(
    session: Session, *, fail_fast: bool = False, watch: Watcher = ignore
) -> tuple[Mark, BaseException | None]:
    """Run every step in this process, one after another; retries do not wait.

    Returns:
        The finish mark, and the first exception a step raised for good.

    Raises:
        KeyboardInterrupt: when a step was interrupted; the run is then marked cancelled.
    """
    schedule, first = Schedule(session.run.plan), None
    while schedule.ready and not (first and fail_fast):
        name, index = task = schedule.ready.popleft()
        for number in range(1, session.run.plan.by_name[name].retry.count + 2):
            watch(Change(name, index, "running", number=number, total=schedule.total(name)))
            began = time.monotonic()
            try:
                result = run_step(session, name, index)
            except KeyboardInterrupt:
                finish_run(session, cancelled=True)
                raise
            if result.state != "failed" or not result.retryable:
                break
        watch(Change(name, index, result.state, time.monotonic() - began, result.message, number, schedule.total(name)))
        if result.state == "failed":
            first = first or session.failure
        seen = len(schedule.blocked)
        schedule.finish(task, result)
        for blocked in schedule.blocked[seen:]:
            watch(Change(blocked, None, "blocked"))
    return finish_run(session), first
