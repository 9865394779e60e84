"""What steps log, sent to the stack's tracker: one external run for a run, whichever worker comes first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from turnout.artifacts.artifacts import Artifacts
from turnout.base import canonical, clock
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.base.redaction import Redactor
from turnout.components.tracker import Tracker
from turnout.model.records import RunState
from turnout.stores import layout
from turnout.stores.stored_run import Run
from turnout.tracking import missed
from turnout.tracking.missed import Missed
from turnout.tracking.report import Report, Tracer
from turnout.tracking.sending import Sender

PATIENCE = 20.0
"""Seconds from the election within which the others wait for the external id; after that each looks for itself."""


class Tracking:
    """A run's way to its tracker.

    Args:
        make: gives the tracker, None where the stack has none; it may raise whatever making one raises.
        artifacts: gives what reads artifacts, which a tracker may ask for.
        sender: the process that sends what steps log while they run; None where it is sent from here, after each step.
    """

    def __init__(
        self,
        run: Run,
        make: Callable[[], Tracker[Any] | None],
        artifacts: Callable[[], Artifacts],
        redactor: Redactor,
        sender: Sender | None = None,
    ) -> None:
        self.run = run
        self.sender = sender
        self._make = make
        self._artifacts = artifacts
        self._redactor = redactor

    @property
    def tracker(self) -> Tracker[Any] | None:
        """The stack's tracker; raises whatever making it raises."""
        return self._make()

    @property
    def required(self) -> bool:
        """Whether the stack says that a step fails where what it logged cannot be sent."""
        return self.run.plan.worker.tracker.config.get("required") is True

    def track(self, report: Report) -> None:
        """Send what an attempt logged; a tracker that fails is told of, and does not fail the step."""
        if self.run.plan.worker.tracker.type != "none":
            self._noted(report.label, lambda: self._deliver(report))

    def track_committed(self, report: Report) -> None:
        """As :meth:`track`, for a step that is committed: unless :meth:`require` has sent it."""
        if not self.required:
            self.track(report)

    def require(self, report: Report) -> None:
        """Send what an attempt logged before its step is committed, where the stack requires the tracker.

        Raises:
            TurnoutError: when it cannot be sent; worth another try.
        """
        if not self.required:
            return
        try:
            self._deliver(report)
        except UnsupportedError as error:  # the tracker has all the rest, and no other try would give it more
            self.note(report.label, error)
        except Exception as error:
            why = "the stack says that the tracker is required"
            fix = f"{self.missed('', error).fix or 'see that the tracker can be reached'}; then run the step again"
            raise TurnoutError(self.failed(error), why=why, fix=fix) from None

    def around(self) -> AbstractContextManager[None]:
        """What the tracker asks to surround a step's function with; one that cannot be made is reported later."""
        try:
            tracker = self.tracker
        except Exception:
            return nullcontext()
        return nullcontext() if tracker is None else tracker.around()

    def send(self, report: Report) -> bool:
        """Send all of a report from here; a second time changes nothing.

        Returns:
            Whether there was anything to send, and a tracker to send it to.

        Raises:
            Exception: whatever the tracker raises.
        """
        tracker = self.tracker
        if tracker is None or not (tracer := self._tracer(tracker)).has_any(report):
            return False
        tracker.log(tracer.batch(report, self.external_id(tracker)))
        return True

    def finish(self, state: RunState) -> None:
        """Tell the tracker how the run ended."""
        self._noted(missed.END, lambda: self.send_end(state))

    def finish_by_sender(self, state: RunState) -> bool:
        """As :meth:`finish`, by the process that has sent what this worker's steps logged; not where there is none.

        Returns:
            Whether the tracker was told.

        Raises:
            TurnoutError: when it failed, saying so as :meth:`finish` would.
        """
        try:
            return self.sender is not None and self.sender.finish(state)
        except Exception as error:
            self.note(missed.END, error)
            raise TurnoutError(self._complaint(error)) from None

    def send_end(self, state: RunState) -> None:
        """Tell the tracker how the run ended.

        Raises:
            Exception: whatever the tracker raises.
        """
        if (tracker := self.tracker) is not None:
            tracker.finish(self.run.info, self.external_id(tracker), state)

    def failed(self, error: Exception) -> str:
        """What is said of a tracker that failed, without secrets."""
        return f"the tracker {self.run.plan.worker.tracker.type} failed: {self.missed('', error).why}"

    def missed(self, label: str, error: Exception) -> Missed:
        """What a tracker did not take, and why, without secrets."""
        return missed.of(label, error, self._redactor)

    def note(self, label: str, error: Exception) -> None:
        """Note in the store that the tracker did not take something."""
        missed.note(self.run, self.missed(label, error))

    def external_id(self, tracker: Tracker[Any]) -> str:
        """The tracker's id of this run: made by one elected worker, stored for all.

        The worker whose claim is created first makes the external run. The others wait for its id; where none
        comes (the elected one failed or died), each asks the tracker to find the run, and the first id stored counts.
        """
        store, run = self.run.store, self.run.info
        claim, identity, failed = (layout.tracker(run.project, run.id, name) for name in ("claim", "id", "failed"))
        if (data := store.read(identity)) is not None:
            return str(msgspec.json.decode(data))
        if store.create(claim, canonical.encode({"time": clock.now()})):
            try:
                external = tracker.begin(run, claimed=True)
            except Exception:
                store.create(failed, canonical.encode({"time": clock.now()}))
                raise
        else:
            until = time.monotonic() + _patience(store.read(claim))
            while time.monotonic() < until and not store.exists(failed):
                if (data := store.read(identity)) is not None:
                    return str(msgspec.json.decode(data))
                time.sleep(0.1)
            external = tracker.begin(run, claimed=False)
        if (page := tracker.page(external)) is not None:
            store.create(layout.tracker(run.project, run.id, "page"), canonical.encode(self._redactor.text(page)))
        if store.create(identity, canonical.encode(external)):
            return external
        return str(msgspec.json.decode(store.read(identity) or canonical.encode(external)))

    def _deliver(self, report: Report) -> None:
        """Send a report by the process that there is for it, else from here."""
        if self.sender is not None and (tracker := self.tracker) is not None:
            self.sender.end(report, wanted=self._tracer(tracker).has_any(report))
        else:
            self.send(report)

    def _tracer(self, tracker: Tracker[Any]) -> Tracer:
        return Tracer(self.run, tracker, self._artifacts)

    def _noted(self, label: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            print(self._complaint(error), file=sys.stderr)
            self.note(label, error)

    def _complaint(self, error: Exception) -> str:
        first = "" if (fix := self.missed("", error).fix) is None else f"{fix}; "
        later = f"{first}what it missed is sent by: turnout runs sync {self.run.info.id}"
        return f"turnout: {self.failed(error)}\n  fix: {later}"


def _patience(claim: bytes | None) -> float:
    """The seconds that are left to wait for who made the claim."""
    if claim is None:
        return 0.0
    elected = msgspec.json.decode(claim, type=_Claim).time
    return min(max(PATIENCE - clock.seconds_between(elected, clock.now()), 0.0), PATIENCE)


class _Claim(msgspec.Struct):
    time: str
