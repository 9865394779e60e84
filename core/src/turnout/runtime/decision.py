"""The decision on a step: what it comes to now, by its run's records, an earlier run and the cache.

Workers ask here, and so do engines that ask before they call a worker: a step means the same to both.
"""

from __future__ import annotations

import math

import msgspec

from turnout.base import clock, names
from turnout.base.errors import PlanError, TurnoutError, UnsupportedError
from turnout.model.feature_use import feature_use
from turnout.model.plan import StepPlan
from turnout.model.records import Record, StepResult
from turnout.runtime import cache, feature_versions, profiles
from turnout.runtime.cache_key import key_of, key_parts
from turnout.runtime.forbidden import artifacts_of
from turnout.runtime.inputs import input_records, names_url
from turnout.runtime.outside import is_told, packages
from turnout.runtime.resolution import Done, Ready, Skip, Wait
from turnout.runtime.reuse import reused_record
from turnout.runtime.session import Session
from turnout.tracking.report import Report

NEAR = 8 << 20
"""The bytes of artifacts that are verified, at most, without a worker."""


class TakeOver(msgspec.Struct, frozen=True):
    """The step is not run: an earlier run has the record to commit, or the cache, or values stand in for it."""

    record: Record

    @property
    def message(self) -> str:
        """Where it was taken from."""
        old = self.record
        return f"taken over from {old.reused_from}" if old.reused_from else f"cached from {old.cached_from}"


class Execute(msgspec.Struct, frozen=True):
    """The step has to run, or only a worker can tell; ``looked_up``: the cache does not have it."""

    looked_up: bool = False


Decision = Done | Skip | Wait | TakeOver | Execute


def decide(
    session: Session,
    name: str,
    index: int | None,
    *,
    look_up: bool = True,
    here: bool = False,
    known_open: bool = False,
) -> Decision:
    """What a step, or one element of a mapped step, comes to now. Commits nothing.

    Args:
        look_up: whether the cache may have it.
        here: whether this is no worker: what only a worker can tell, and what takes long, is left to one.
        known_open: whether the step is known to have no record.

    Raises:
        PlanError: when the run has no such step or element, or a policy of the stack does not allow it.
        TurnoutError: when an earlier run that is to be reused cannot be, or what the cache has takes long to verify.
    """
    step = planned(session, name, index)
    found = session.resolver.decide(name, index, known_open=known_open)
    if isinstance(found, (Done, Skip)):
        return found
    _check_index(session, step, index, ready=isinstance(found, Ready))
    if isinstance(found, Wait):
        return found
    if here and _needs_worker(session, step):
        return Execute()
    session.components.enforce(session.run.plan, session.run.info.git)
    old = reused_record(session, step, index)
    if old is None and look_up:
        old = _cached(session, step, index, NEAR if here else math.inf)
    return Execute(looked_up=look_up) if old is None else TakeOver(old)


def settle(session: Session, name: str, decision: Decision) -> StepResult | None:
    """Commit what a decision says; None where the step waits, or has to run.

    Raises:
        TurnoutError: when a policy does not allow what would be taken over, or a required tracker does not take it.
    """
    match decision:
        case Done(record=record):
            return result_of(record, adopted=True)
        case Skip(reason=reason):
            return commit_skip(session, name, reason)
        case TakeOver():
            return _take_over(session, decision)
    return None


def settle_here(
    session: Session, name: str, index: int | None = None, *, begun: bool = True, skipped: bool = True
) -> StepResult | Execute:
    """What a step, or an element, comes to without a worker, for an engine that asks before it calls one.

    Whatever fails on the way is left to the worker, which meets it again, and puts it on record.

    Args:
        begun: whether an earlier engine may have run it.
        skipped: whether it may have to be skipped.
    """
    step, options = session.run.plan.by_name[name], session.run.info.options
    may_be_taken = options.reuse or options.replace or (step.cache and not options.no_cache)
    if not (begun or skipped or may_be_taken):
        return Execute()
    try:
        decision = decide(session, name, index, here=True, known_open=not begun)
        return settle(session, name, decision) or (decision if isinstance(decision, Execute) else Execute())
    except Exception:
        return Execute()


def _needs_worker(session: Session, step: StepPlan) -> bool:
    """Whether only a worker can tell: it sends to a tracker, has variables of its own, asks a feature store, or reads
    what a URL names."""
    tracked = session.run.plan.worker.tracker.type != "none"
    looks_up = feature_use(step) is not None
    return bool(tracked or looks_up or step.env or names_url(session, step) or packages(session, step))


def planned(session: Session, name: str, index: int | None) -> StepPlan:
    """The step of that name, as it was planned.

    Raises:
        PlanError: when the run has no such step, or it is not mapped and has an index.
        UnsupportedError: when this runtime cannot run it.
    """
    step = session.run.plan.by_name.get(name)
    if step is None:
        raise PlanError(
            f"the run {session.run.info.id} has no step {name!r}",
            why=f"it goes by the plan {session.run.info.plan[:12]} it started with",
            fix="start a new run for a changed pipeline",
        )
    if step.kind == "records":
        raise UnsupportedError(f"the step {name} is data-parallel, which this runtime cannot run")
    if index is not None and not step.mapped:
        raise PlanError(f"the step {name} is not mapped, yet it was called with the index {index}")
    return step


def _check_index(session: Session, step: StepPlan, index: int | None, *, ready: bool) -> None:
    if not step.mapped:
        return
    count = session.resolver.count(step.name)
    if index is None and not ready:
        return
    if index is None:
        raise PlanError(
            f"the step {step.name} is mapped, and was called without an index",
            fix=f"call it once for each of its {count} elements: --index 0 …",
        )
    if count is not None and not 0 <= index < count:
        raise PlanError(f"the step {step.name} has {count} elements, and was called with the index {index}")


def _cached(session: Session, step: StepPlan, index: int | None, most: float) -> Record | None:
    """The record to commit of what the cache has for a step, or None where it has nothing."""
    if not cache.applies(session, step):
        return None
    try:
        inputs = input_records(session, step, index)
        parts = key_parts(session, step, inputs)
        tags = feature_versions.tags(session, step)
    except TurnoutError:
        return None  # running the step meets the same, and puts it on record
    found = cache.look_up(session, step, index, key_of(parts), inputs, most) if is_told(parts) else None
    return found if found is None or not tags else feature_versions.tagged(found, tags)


def _take_over(session: Session, decision: TakeOver) -> StepResult:
    """Commit an earlier record, unless a policy of this run does not allow what it holds, and let the tracker know."""
    old = profiles.taken_over(session.run.plan.by_name[decision.record.step], decision.record)
    session.components.enforce_artifacts(old.step, artifacts_of(old.outputs, old.logged))
    report = None if session.run.plan.worker.tracker.type == "none" else Report.of(old)
    if report is not None:
        session.tracking.require(report)
    standing, mine = session.run.commit(old)
    if mine:
        if report is not None:
            session.tracking.track_committed(report)
        session.notify(
            "step_skipped" if old.state == "skipped" else "step_succeeded",
            step=old.step,
            index=old.index,
            state=old.state,
            message=decision.message,
            record=old,
        )
    return result_of(standing, adopted=not mine)


def commit_skip(session: Session, name: str, reason: str) -> StepResult:
    """Commit that a step (all of it, if it is mapped) is skipped."""
    now = clock.now()
    record = Record(
        run=session.run.info.id,
        step=name,
        state="skipped",
        plan=session.run.info.plan,
        reason=reason,
        started=now,
        ended=now,
        sealed=not session.in_process,
    )
    standing, mine = session.run.commit(record)
    if mine:
        session.notify("step_skipped", step=name, state="skipped", message=reason)
    return result_of(standing, adopted=not mine)


def result_of(record: Record, *, adopted: bool) -> StepResult:
    """What an engine is told of a committed step."""
    values = {} if record.value is None else {record.step: record.value}
    taken = f"cached from {record.cached_from}" if record.cached_from else record.reason
    label = names.label(record.step, record.index)
    if adopted:
        taken = f"{label} was committed before; to run it again: turnout runs invalidate {record.run} {label}"
    return StepResult(state=record.state, elements=record.elements, values=values, adopted=adopted, message=taken)
