"""Sending a run to its tracker once more: what that missed while it was down arrives, the rest changes nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from turnout.api.history import newest_mark
from turnout.api.run import Run
from turnout.errors import ConfigError
from turnout.runtime import tracking
from turnout.runtime.report import Report
from turnout.runtime.session import Session


class Synced(NamedTuple):
    """The tracker's name, its id of the run, and how many attempts had logged something."""

    tracker: str
    external_id: str
    sent: int


def sync(run: Run) -> Synced:
    """Send all that the records and attempts of a run hold to its tracker, with the settings the stack now has.

    Raises:
        ConfigError: when the run has no tracker, or the stack has another.
        TurnoutError: when the tracker fails; what has been sent by then stays, and another sync sends the rest.
    """
    planned, worker = run.plan.worker.tracker.type, run.workspace.stack.worker()
    if planned == "none":
        raise ConfigError(
            f"the run {run.id} was made without a tracker", fix="start one on a stack that has a tracker: --stack"
        )
    if worker.tracker.type != planned:
        raise ConfigError(
            f"the run {run.id} goes with the tracker {planned}, the stack {run.workspace.stack.name} has "
            f"{worker.tracker.type}",
            fix=f"give the run's own stack: --stack {run.info.stack}",
        )
    plan = msgspec.structs.replace(run.plan, worker=worker)
    session = Session(run.workspace.store, plan, run.info, in_process=True, registry=run.workspace.registry)
    tracker = session.components.tracker
    assert tracker is not None
    external, sent = tracking.external_id(session, tracker), 0
    for summary in run.refresh().summaries.values():
        reports = {
            attempt.id: Report(step=summary.step, index=summary.index, attempt=attempt.id, logged=attempt.logged)
            for attempt in summary.attempts
        }
        if summary.record is not None:
            reports[summary.record.attempt or ""] = Report.of(summary.record)
        sent += sum(tracking.send(session, report) for report in reports.values())
    mark = newest_mark(run.workspace.store, run.info.project, run.id)
    if mark is not None:
        tracking.send_end(session, mark.state)
    return Synced(planned, external, sent)
