"""The end of a run: skips that no one needed are committed, the run is marked, tracker and observers are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from turnout.errors import RunError
from turnout.plan.model import StepPlan
from turnout.records import model as records
from turnout.records.model import FinishMark, Record, RunState
from turnout.runtime import clock, tracking
from turnout.runtime.resolution import Skip
from turnout.runtime.session import Session
from turnout.runtime.step import commit_skip
from turnout.stores import layout


def finish_run(
    session: Session, *, cancelled: bool = False, tell: Callable[[Session, RunState], None] = tracking.finish
) -> FinishMark:
    """Close the run: derive and commit open skips, append a finish mark.

    May be called more than once (a step cleared in the engine and run again after the end): the newest
    mark counts. A step that is not committed counts as failed, whatever the engine thought of it.

    Args:
        tell: tells the tracker; once the mark is there.
    """
    counts: Counter[str] = Counter()
    settled = session.resolver.settle_all()
    for step in session.plan.steps:
        found = settled[step.name]
        if isinstance(found, Record):
            counts[found.state] += 1
        else:
            counts.update(_close(session, step, found))
    state: RunState = "succeeded"
    if counts["failed"]:
        state = "cancelled" if cancelled else "failed"
    mark = FinishMark(time=clock.now(), state=state, steps=dict(sorted(counts.items())))
    number = len(session.store.children(layout.finishes(session.run.project, session.run.id)))
    while not session.store.create(layout.finish(session.run.project, session.run.id, number), records.encode(mark)):
        number += 1
    if number:  # it had ended before: whoever remembers that end is to look again
        session.store.create(layout.change(session.run.project, session.run.id, f"finish-{number}"), b"{}")
    session.store.flush()
    tell(session, state)
    session.components.notify(
        session,
        "run_finished",
        state=state,
        seconds=clock.seconds_between(session.run.created, mark.time),
        message=", ".join(f"{count} {name}" for name, count in mark.steps.items()),
    )
    return mark


def unfinished(session: Session) -> tuple[str, ...]:
    """The labels of the steps and elements that are neither committed nor to be skipped, as far as they are known.

    Raises:
        ArtifactError: when a record is damaged.
    """
    found: list[str] = []
    settled = session.resolver.settle_all()
    for step in session.plan.steps:
        if settled[step.name] is not None:
            continue
        try:
            count = session.resolver.count(step.name) if step.mapped else None
        except RunError:
            count = None
        if count is None:
            found.append(step.name)
        else:
            found.extend(f"{step.name}.{index}" for index in range(count) if session.record(step.name, index) is None)
    return tuple(found)


def _close(session: Session, step: StepPlan, settled: Skip | None) -> Counter[str]:
    """The states of a step that is not committed as a whole, or of each element of a mapped one."""
    if isinstance(settled, Skip):
        return Counter([commit_skip(session, step.name, settled.reason).state])
    if not step.mapped:
        return Counter(["failed"])
    try:
        count = session.resolver.count(step.name)
    except RunError:
        count = None
    if count is None:
        return Counter(["failed"])
    states: Counter[str] = Counter()
    for index in range(count):
        record = session.record(step.name, index)
        states["failed" if record is None else record.state] += 1
    return states
