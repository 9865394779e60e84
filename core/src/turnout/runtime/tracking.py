"""What steps log, sent to the stack's tracker: one external run for a run, whichever worker comes first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from turnout.base import canonical, clock
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.components.tracker import Tracker
from turnout.model.records import RunState
from turnout.runtime import missed
from turnout.runtime.report import Report, batch, worth_sending
from turnout.runtime.sending import Sender
from turnout.runtime.session import Session
from turnout.stores import layout

PATIENCE = 20.0
"""Seconds from the election within which the others wait for the external id; after that each looks for itself."""


def track(session: Session, report: Report) -> None:
    """Send what an attempt logged; a tracker that fails is told of, and does not fail the step."""
    if session.plan.worker.tracker.type == "none":
        return
    _noted(session, report.label, lambda: deliver(session, report))


def track_committed(session: Session, report: Report) -> None:
    """As :func:`track`, for a step that is committed: where the tracker is required, :func:`require` has sent it."""
    if not required(session):
        track(session, report)


def require(session: Session, report: Report) -> None:
    """Send what an attempt logged before its step is committed, where the stack requires the tracker.

    Raises:
        TurnoutError: when it cannot be sent; worth another try.
    """
    if required(session):
        try:
            deliver(session, report)
        except UnsupportedError as error:  # the tracker has all the rest, and no other try would give it more
            missed.note(session, report.label, error)
        except Exception as error:
            why = "the stack says that the tracker is required"
            fix = f"{missed.remedy(session, error) or 'see that the tracker can be reached'}; then run the step again"
            raise TurnoutError(failed(session, error), why=why, fix=fix) from None


def finish(session: Session, state: RunState) -> None:
    """Tell the tracker how the run ended."""
    _noted(session, missed.END, lambda: send_end(session, state))


def finish_by_sender(session: Session, state: RunState) -> bool:
    """As :func:`finish`, by the process that has sent what this worker's steps logged; not where there is none.

    Returns:
        Whether the tracker was told.

    Raises:
        TurnoutError: when it failed, saying so as :func:`finish` would.
    """
    sender: Sender | None = session.__dict__.get("sender")
    try:
        return sender is not None and sender.finish(state)
    except Exception as error:
        missed.note(session, missed.END, error)
        raise TurnoutError(_complaint(session, error)) from None


def around(session: Session) -> AbstractContextManager[None]:
    """What the tracker asks to surround a step's function with; one that cannot be made is reported when it sends."""
    try:
        tracker = session.components.tracker
    except Exception:
        return nullcontext()
    return nullcontext() if tracker is None else tracker.around()


def required(session: Session) -> bool:
    """Whether the stack says that a step fails where what it logged cannot be sent."""
    return session.plan.worker.tracker.config.get("required") is True


def deliver(session: Session, report: Report) -> None:
    """Send a report by the process that the session has for it, else from here.

    Raises:
        Exception: whatever the tracker raises.
    """
    if session.sender is not None and (tracker := session.components.tracker) is not None:
        session.sender.end(report, wanted=worth_sending(session, tracker, report))
    else:
        send(session, report)


def send(session: Session, report: Report) -> bool:
    """Send all of a report from here; a second time changes nothing.

    Returns:
        Whether there was anything to send, and a tracker to send it to.

    Raises:
        Exception: whatever the tracker raises.
    """
    tracker = session.components.tracker
    if tracker is None or not worth_sending(session, tracker, report):
        return False
    tracker.log(batch(session, tracker, report, external_id(session, tracker)))
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
    return f"the tracker {session.plan.worker.tracker.type} failed: {missed.reason(session, error)}"


def _noted(session: Session, label: str, action: Callable[[], object]) -> None:
    try:
        action()
    except Exception as error:
        print(_complaint(session, error), file=sys.stderr)
        missed.note(session, label, error)


def _complaint(session: Session, error: Exception) -> str:
    first = "" if (fix := missed.remedy(session, error)) is None else f"{fix}; "
    later = f"{first}what it missed is sent by: turnout runs sync {session.run.id}"
    return f"turnout: {failed(session, error)}\n  fix: {later}"


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
    if (page := tracker.page(external)) is not None:
        page = session.components.redactor.text(page)
        session.store.create(layout.tracker(run.project, run.id, "page"), canonical.encode(page))
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
