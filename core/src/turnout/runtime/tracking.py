"""What steps log, sent to the stack's tracker: one external run for a run, whichever worker comes first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from turnout import canonical
from turnout.components.tracker import Batch, Tracker
from turnout.plan.model import StepPlan
from turnout.records.model import Logged, RunState
from turnout.runtime import clock
from turnout.runtime.session import Session
from turnout.stores import layout

PATIENCE = 20.0
"""Seconds from the election within which the others wait for the external id; after that each looks for itself."""


def track(session: Session, step: StepPlan, index: int | None, attempt: str, logged: Logged) -> None:
    """Send what an attempt logged; a tracker that fails is reported and does not fail the step."""
    if logged == Logged():
        return

    def send(tracker: Tracker[Any]) -> None:
        tracker.log(
            Batch(
                run=session.run,
                external_id=external_id(session, tracker),
                step=step.name,
                index=index,
                attempt=attempt,
                points=logged.points,
                params=logged.params,
                artifacts={name: _local(session, name, logged) for name in logged.artifacts},
            )
        )

    _guarded(session, send)


def finish(session: Session, state: RunState) -> None:
    """Tell the tracker how the run ended."""
    _guarded(session, lambda tracker: tracker.finish(session.run, external_id(session, tracker), state))


def _guarded(session: Session, action: Callable[[Tracker[Any]], None]) -> None:
    if session.plan.worker.tracker.type == "none":
        return
    try:
        tracker = session.components.tracker
        if tracker is not None:
            action(tracker)
    except Exception as error:
        message = session.components.redactor.text(str(error))
        print(f"turnout: the tracker {session.plan.worker.tracker.type} failed: {message}", file=sys.stderr)


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


def _local(session: Session, name: str, logged: Logged) -> Path:
    return session.artifacts.local_folder(logged.artifacts[name])
