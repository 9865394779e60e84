"""Running one step: the same on every engine."""

from __future__ import annotations

import math
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

import msgspec

from turnout.base import clock
from turnout.base.errors import PlanError, RunError, TurnoutError, UnsupportedError
from turnout.components.observer import EventKind
from turnout.model import records
from turnout.model.plan import StepPlan
from turnout.model.records import Attempt, Failure, Logged, Record, StepResult
from turnout.runtime import cache, profiles
from turnout.runtime.cache_key import key_of, key_parts
from turnout.runtime.execution import FINAL, StepFailed, execute
from turnout.runtime.forbidden import artifacts_of
from turnout.runtime.host import this_host
from turnout.runtime.inputs import input_records, names_url
from turnout.runtime.outside import is_told, packages
from turnout.runtime.resolution import Done, Skip, Wait
from turnout.runtime.reuse import reused_record
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.tracking.report import Report

NEAR = 8 << 20
"""The bytes of artifacts that are verified, at most, without a worker."""


def run_step(session: Session, name: str, index: int | None = None, *, look_up: bool = True) -> StepResult:
    """Run a step, or one element of a mapped step, of the session's run, and commit it.

    A step that is committed already is not run again: its result is returned, ``adopted``. A skip that
    follows from the records is committed. A step whose inputs are not there yet fails, retryable.

    Args:
        index: the element of a mapped step, from 0; None for any other.
        look_up: whether the cache may have it; not where :func:`take` has looked.

    Returns:
        The result. A failure is a result, too: its attempt is on record. ``session.failure`` is then the
        exception (the user's own, where a step raised it).
    """
    session.failure = None
    try:
        step = _step(session, name, index)
        decision = session.resolver.decide(name, index)
        if isinstance(decision, Done):
            return result_of(decision.record, adopted=True)
        if isinstance(decision, Skip):
            return commit_skip(session, name, decision.reason)
        _check_index(session, step, index, ready=not isinstance(decision, Wait))
        if isinstance(decision, Wait):
            return _waiting(name, decision)
        session.components.enforce(session.run.plan, session.run.info.git)
        taken = _reused(session, step, index) or (_cached(session, step, index) if look_up else None)
        return taken or _attempt(session, step, index)
    except TurnoutError as error:
        session.failure = error
        # a RunError follows from records and options, which do not change
        retryable = not isinstance(error, (*FINAL, RunError))
        return StepResult(state="failed", retryable=retryable, message=session.components.redactor.text(str(error)))
    except Exception as error:  # of a plugin, or a mistake of ours: whoever calls knows no secret to take out of it
        session.failure, redactor = error, session.components.redactor
        print(redactor.text(traceback.format_exc()), file=sys.stderr, flush=True)
        message = redactor.text(f"{type(error).__name__}: {error}")
        return StepResult(state="failed", retryable=True, message=message)


class Untaken(msgspec.Struct, frozen=True):
    """A step that has to run, or about which only a worker can tell; ``looked_up``: the cache does not have it."""

    looked_up: bool = False


def take(session: Session, name: str, index: int | None = None, *, begun: bool = True) -> StepResult | Untaken:
    """What a step, or an element, comes to without running, for an engine that asks before it calls a worker.

    One that is committed is adopted, one that is to be skipped is, and what an earlier run or the cache has is taken
    over. Whatever fails on the way is left to the worker, which meets it again, and puts it on record.

    Args:
        begun: whether an earlier engine may have run it.
    """
    try:
        step = session.run.plan.by_name[name]
        decision = session.resolver.decide(name, index, known_open=not begun)
        if isinstance(decision, Done):
            return result_of(decision.record, adopted=True)
        if isinstance(decision, Skip):
            return commit_skip(session, name, decision.reason)
        # only workers send to a tracker, have the variables of a worker, and read what a URL names
        if (
            isinstance(decision, Wait)
            or step.env
            or packages(session, step)
            or session.run.plan.worker.tracker.type != "none"
            or names_url(session, step)
        ):
            return Untaken()
        session.components.enforce(session.run.plan, session.run.info.git)
        return _reused(session, step, index) or _cached(session, step, index, NEAR) or Untaken(looked_up=True)
    except Exception:
        return Untaken()


def _reused(session: Session, step: StepPlan, index: int | None) -> StepResult | None:
    old = reused_record(session, step, index)
    if old is None:
        return None
    standing, mine = _take_over(session, old)
    if mine:
        kind: EventKind = "step_skipped" if old.state == "skipped" else "step_succeeded"
        message = f"taken over from {old.reused_from}"
        session.notify(kind, step=step.name, index=index, state=old.state, message=message, record=old)
    return result_of(standing, adopted=not mine)


def _take_over(session: Session, old: Record) -> tuple[Record, bool]:
    """Commit an earlier record, unless a policy of this run does not allow what it holds, and let the tracker know."""
    old = profiles.taken_over(session.run.plan.by_name[old.step], old)
    session.components.enforce_artifacts(old.step, artifacts_of(old.outputs, old.logged))
    report = None if session.run.plan.worker.tracker.type == "none" else Report.of(old)
    if report is not None:
        session.tracking.require(report)
    standing, mine = session.run.commit(old)
    if mine and report is not None:
        session.tracking.track_committed(report)
    return standing, mine


def _cached(session: Session, step: StepPlan, index: int | None, most: float = math.inf) -> StepResult | None:
    """Commit what the cache has for a step, or None where it has nothing."""
    if not cache.applies(session, step):
        return None
    try:
        inputs = input_records(session, step, index)
    except TurnoutError:
        return None  # running the step meets the same, and puts it on record
    parts = key_parts(session, step, inputs)
    if not is_told(parts):
        return None
    key = key_of(parts)
    old = cache.look_up(session, step, index, key, inputs, most)
    if old is None:
        return None
    standing, mine = _take_over(session, old)
    if mine:
        message = f"cached from {old.cached_from}"
        session.notify("step_succeeded", step=step.name, index=index, state="succeeded", message=message, record=old)
    return result_of(standing, adopted=not mine)


def _step(session: Session, name: str, index: int | None) -> StepPlan:
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


def _attempt(session: Session, step: StepPlan, index: int | None) -> StepResult:
    session.before_attempt()
    attempt, started = _attempt_id(), clock.now()
    components = session.components
    place: dict[str, Any] = {"step": step.name, "index": index, "attempt": attempt}
    session.notify("step_started", **place)
    if session.tracking.sender is not None:
        session.tracking.sender.begin(**place)
    try:
        done = execute(session, step, index, tracked=True)
    except StepFailed as failed:
        session.failure = failed.cause
        _say(failed.failure.traceback or failed.failure.message)
        _write_attempt(session, step, index, attempt, started, failed.failure, failed.logged)
        session.tracking.track(Report(step=step.name, index=index, attempt=attempt, logged=failed.logged))
        session.notify("step_failed", message=failed.failure.message, state="failed", **place)
        if isinstance(failed.cause, KeyboardInterrupt):
            raise KeyboardInterrupt(components.redactor.text(str(failed.cause))) from None
        if (standing := session.run.record(step.name, index)) is not None:  # another call of it has succeeded meanwhile
            session.failure = None
            return result_of(standing, adopted=True)
        return StepResult(state="failed", retryable=failed.failure.retryable, message=failed.failure.message)
    inputs = input_records(session, step, index)
    report = Report(**place, logged=done.logged, inputs=inputs, outputs=done.outputs)
    try:
        session.tracking.require(report)
    except TurnoutError as error:
        session.failure = error
        failure = Failure(type=type(error).__qualname__, message=str(error))
        _say(failure.message)
        _write_attempt(session, step, index, attempt, started, failure, done.logged)
        session.notify("step_failed", message=failure.message, state="failed", **place)
        return StepResult(state="failed", retryable=True, message=failure.message)
    parts = key_parts(session, step, inputs)
    record = Record(
        run=session.run.info.id,
        step=step.name,
        index=index,
        state="succeeded",
        attempt=attempt,
        plan=session.run.info.plan,
        inputs=inputs,
        outputs=done.outputs,
        value=done.value,
        cache_key=key_of(parts),
        key_parts=components.redactor.tree(parts),
        started=started,
        ended=clock.now(),
        sealed=session.sealed,
        isolation="worker" if session.shared else "step",
        logged=done.logged,
    )
    _write_attempt(session, step, index, attempt, started, None, Logged())
    standing, mine = session.run.commit(record)
    if mine:
        if record.sealed and cache.applies(session, step) and is_told(parts):
            cache.remember(session, record)
        session.tracking.track_committed(report)
        session.notify(
            "step_succeeded",
            state="succeeded",
            seconds=clock.seconds_between(record.started, record.ended),
            record=record,
            **place,
        )
    return result_of(standing, adopted=not mine)


def _say(text: str) -> None:
    with suppress(ValueError, OSError):  # a step may have closed its streams
        print(text, file=sys.stderr or sys.__stderr__, flush=True)


def _attempt_id() -> str:
    return os.urandom(6).hex()


def _write_attempt(
    session: Session,
    step: StepPlan,
    index: int | None,
    attempt: str,
    started: str,
    failure: Failure | None,
    logged: Logged,
) -> None:
    document = Attempt(
        id=attempt,
        run=session.run.info.id,
        step=step.name,
        index=index,
        state="failed" if failure else "succeeded",
        started=started,
        ended=clock.now(),
        host=this_host(sealed=session.sealed, isolation="worker" if session.shared else "step"),
        failure=failure,
        logged=logged,
    )
    key = layout.attempt(session.run.info.project, session.run.info.id, step.name, index, attempt)
    session.run.store.create(key, records.encode(document))


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
    label = record.step if record.index is None else f"{record.step}.{record.index}"
    if adopted:
        taken = f"{label} was committed before; to run it again: turnout runs invalidate {record.run} {label}"
    return StepResult(state=record.state, elements=record.elements, values=values, adopted=adopted, message=taken)


def _waiting(name: str, wait: Wait) -> StepResult:
    shown = ", ".join(wait.on[:5]) + (f" and {len(wait.on) - 5} more" if len(wait.on) > 5 else "")
    return StepResult(
        state="failed",
        retryable=True,
        message=f"{name} cannot run yet: not committed are {shown} (failed, or still to run)",
    )


def report_lost(session: Session, step: StepPlan, index: int | None, started: str, failure: Failure) -> None:
    """Put an attempt on record whose process is gone: stopped at its timeout, or died."""
    _write_attempt(session, step, index, _attempt_id(), started, failure, Logged())
    session.notify("step_failed", step=step.name, index=index, state="failed", message=failure.message)
