"""The end of a run: skips that no one needed are committed, the run is marked, tracker and observers are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from turnout.base import clock
from turnout.model.records import Mark, RunState
from turnout.runtime.decision import commit_skip
from turnout.runtime.resolution import Skip
from turnout.runtime.session import Session
from turnout.runtime.state import append_mark, attempt_ids, files_of, newest_mark, outcomes


def finish_run(session: Session, *, cancelled: bool = False, tell: Callable[[RunState], None] | None = None) -> Mark:
    """Close the run: derive and commit open skips, append a finish mark.

    A step that is not committed counts as failed, whatever the engine thought of it. May be called more than once (a
    step cleared in the engine and run again after the end): where nothing has changed since the last finish mark, that
    one stands, and only the tracker, to which a second time is nothing new, is told again.

    Args:
        cancelled: whether the run was stopped on purpose; so it was where that is its newest mark.
        tell: tells the tracker, once the mark is there; by default from here.
    """
    tell = tell or session.tracking.finish
    project, run = session.run.info.project, session.run.info.id
    while True:
        newest = newest_mark(session.run.store, project, run)
        mark = _mark(session, cancelled=cancelled or newest.kind == "cancel")
        if newest.mark is not None and newest.kind == "finish" and newest.mark.open == mark.open:
            tell(newest.mark.state)
            return newest.mark
        if append_mark(session.run.store, project, run, mark, after=newest.number):
            break
    session.run.store.flush()
    tell(mark.state)
    session.notify(
        "run_finished",
        state=mark.state,
        seconds=clock.seconds_between(session.run.info.created, mark.time),
        message=", ".join(f"{count} {name}" for name, count in mark.steps.items()),
    )
    return mark


def _mark(session: Session, *, cancelled: bool) -> Mark:
    """The mark of the end as it is now; skips that follow from the records are committed."""
    counts: Counter[str] = Counter()
    open_labels = []
    for label, settled in outcomes(session.run):
        if isinstance(settled, Skip):
            counts[commit_skip(session, label, settled.reason).state] += 1
        elif settled is not None:
            counts[settled.state] += 1
        else:
            counts["failed"] += 1
            open_labels.append(label)
    files = files_of(session.run.store, session.run.info.project, session.run.info.id) if open_labels else {}
    return Mark(
        kind="finish",
        time=clock.now(),
        state="succeeded" if not open_labels else "cancelled" if cancelled else "failed",
        steps=dict(sorted(counts.items())),
        open={label: attempt_ids(files.get(label, ())) for label in open_labels},
    )
