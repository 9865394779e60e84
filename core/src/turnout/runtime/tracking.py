"""What steps log, sent to the stack's tracker: one external run for a run, whichever worker comes first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from turnout import canonical
from turnout.components.tracker import Batch, Tracker
from turnout.errors import TurnoutError
from turnout.plan.model import StepPlan
from turnout.records.model import Logged, RunState
from turnout.runtime import clock
from turnout.runtime.session import Session
from turnout.stores import layout

PATIENCE = 20.0
"""Seconds from the election within which the others wait for the external id; after that each looks for itself."""


def track(session: Session, step: StepPlan, index: int | None, attempt: str, logged: Logged) -> None:
    """Send what an attempt logged; a tracker that fails is reported and does not fail the step."""
    _reported(session, lambda: send(session, step.name, index, attempt, logged))


def track_committed(session: Session, step: StepPlan, index: int | None, attempt: str, logged: Logged) -> None:
    """As :func:`track`, for a step that is committed: where the tracker is required, :func:`require` has sent it."""
    if not required(session):
        track(session, step, index, attempt, logged)


def require(session: Session, step: StepPlan, index: int | None, attempt: str, logged: Logged) -> None:
    """Send what an attempt logged before its step is committed, where the stack requires the tracker.

    Raises:
        TurnoutError: when it cannot be sent; worth another try.
    """
    if required(session):
        try:
            send(session, step.name, index, attempt, logged)
        except Exception as error:
            why = "the stack says that the tracker is required"
            fix = "see that the tracker can be reached, and run the step again"
            raise TurnoutError(failed(session, error), why=why, fix=fix) from None


def finish(session: Session, state: RunState) -> None:
    """Tell the tracker how the run ended."""
    _reported(session, lambda: send_end(session, state))


def required(session: Session) -> bool:
    """Whether the stack says that a step fails where what it logged cannot be sent."""
    return session.plan.worker.tracker.config.get("required") is True


def send(session: Session, step: str, index: int | None, attempt: str, logged: Logged) -> bool:
    """Send what an attempt logged; a second time changes nothing.

    Returns:
        Whether there was anything to send, and a tracker to send it to.

    Raises:
        Exception: whatever the tracker raises.
    """
    if logged == Logged() or (tracker := session.components.tracker) is None:
        return False
    tracker.log(
        Batch(
            run=session.run,
            external_id=external_id(session, tracker),
            step=step,
            index=index,
            attempt=attempt,
            points=logged.points,
            params=logged.params,
            artifacts={name: session.artifacts.local_folder(one) for name, one in logged.artifacts.items()},
        )
    )
    return True


def send_end(session: Session, state: RunState) -> None:
    """Tell the tracker how the run ended.

    Raises:
        Exception: whatever the tracker raises.
    """
    if (tracker := session.components.tracker) is not None:
        tracker.finish(session.run, external_id(session, tracker), state)


def failed(session: Session, error: Exception) -> str:
    """What is said of a tracker that failed, without secrets."""
    what = error.what + (f": {error.why}" if error.why else "") if isinstance(error, TurnoutError) else str(error)
    message = session.components.redactor.text(what)
    return f"the tracker {session.plan.worker.tracker.type} failed: {message}"


def _reported(session: Session, action: Callable[[], object]) -> None:
    try:
        action()
    except Exception as error:
        print(f"turnout: {failed(session, error)}", file=sys.stderr)


def external_id(session: Session, tracker: Tracker[Any]) -> str:
    """The tracker's id of this run: made by one elected worker, stored for all.

    The worker whose claim is created first makes the external run. The others wait for its id; where none
    comes (the elected one failed or died), each asks the tracker to find the run, and the first id stored counts.
    """
    run = session.run
    claim, identity, failed = (layout.tracker(run.project, run.id, name) for name in ("claim", "id", "failed"))
    if (data := session.store.read(identity)) is not None:
        return str(msgspec.json.decode(data))
    if session.store.create(claim, canonical.encode({"time": clock.now()})):
        try:
            external = tracker.begin(run, claimed=True)
        except Exception:
            session.store.create(failed, canonical.encode({"time": clock.now()}))
            raise
    else:
        until = time.monotonic() + _patience(session.store.read(claim))
        while time.monotonic() < until and not session.store.exists(failed):
            if (data := session.store.read(identity)) is not None:
                return str(msgspec.json.decode(data))
            time.sleep(0.1)
        external = tracker.begin(run, claimed=False)
    if session.store.create(identity, canonical.encode(external)):
        return external
    return str(msgspec.json.decode(session.store.read(identity) or canonical.encode(external)))


def _patience(claim: bytes | None) -> float:
    """The seconds that are left to wait for who made the claim."""
    if claim is None:
        return 0.0
    elected = msgspec.json.decode(claim, type=_Claim).time
    return min(max(PATIENCE - clock.seconds_between(elected, clock.now()), 0.0), PATIENCE)


class _Claim(msgspec.Struct):
    time: str
