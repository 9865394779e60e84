"""Sending a run to its tracker once more: what that missed while it was down arrives, the rest changes nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from turnout.api.resumption import close
from turnout.api.run import Run
from turnout.base.errors import ConfigError, UnsupportedError
from turnout.model.records import RunState
from turnout.runtime.session import Session
from turnout.runtime.state import ENDED, closing_mark
from turnout.stores.stored_run import Run as StoredRun
from turnout.tracking import missed
from turnout.tracking.missed import Missed
from turnout.tracking.report import Report


class Synced(NamedTuple):
    """The tracker's name, its id of the run, and how many attempts had logged something; the run's state, and what the
    tracker cannot take, however often it is sent."""

    tracker: str
    external_id: str
    sent: int
    state: RunState
    refused: tuple[Missed, ...]


def sync(run: Run) -> Synced:
    """Send all that the records and attempts of a run hold to its tracker, with the settings the stack now has.

    Where the run has ended and its engine did not mark that, it is marked.

    Raises:
        ConfigError: when the run has no tracker, or the stack has another.
        TurnoutError: when the tracker fails; what has been sent by then stays, and another sync sends the rest.
    """
    planned, worker = run.plan.worker.tracker.type, run.workspace.stack.worker()
    if planned == "none":
        if closing_mark(run.workspace.store, run.info.project, run.id) is None and (state := close(run)) in ENDED:
            return Synced(planned, "", 0, state, ())
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
    stored = StoredRun(run.workspace.store, plan, run.info)
    tracking = Session(stored, in_process=True, registry=run.workspace.registry).tracking
    assert tracking.tracker is not None
    external, sent = tracking.external_id(tracking.tracker), 0
    for summary in run.refresh().summaries.values():
        reports = {
            attempt.id: Report(step=summary.step, index=summary.index, attempt=attempt.id, logged=attempt.logged)
            for attempt in summary.attempts
        }
        if summary.record is not None:
            reports[summary.record.attempt or ""] = Report.of(summary.record)
        refused = []
        for report in reports.values():
            try:
                sent += tracking.send(report)
            except UnsupportedError as error:  # the rest of it has arrived
                refused.append(error)
        missed.forget(stored, summary.label)
        for refusal in refused:
            tracking.note(summary.label, refusal)
    state = close(run, plan=plan, tell=lambda _: None)
    if state in ENDED:
        tracking.send_end(state)
    missed.forget(stored, missed.END)
    return Synced(planned, external, sent, state, missed.noted(stored.store, run.info.project, run.id))
