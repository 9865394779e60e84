"""``python -m turnout.runtime send``: the process beside a worker that sends what its steps log, while they run.

It reads messages from standard input and answers the end of each attempt on standard output. What a worker that was
killed had handed over is still sent: it ends by itself, not by the signals that end its worker.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import msgspec

from turnout.base import canonical
from turnout.base.errors import UnsupportedError
from turnout.components.tracker import Batch, TrackerConfig
from turnout.model.records import Point
from turnout.tracking.report import Report
from turnout.tracking.sending import GRACE, Answer, Begin, End, Finish, Log, Message
from turnout.tracking.tracking import Tracking

_WATCH = 0.5
"""Seconds between two looks at whether the worker is still there."""
_LAST = 3.0
"""Seconds to take in what a worker that is gone has left in the pipe."""

Inbox = queue.SimpleQueue[Message | None]


def main(arguments: list[str], tracked: Callable[[str, str], AbstractContextManager[Tracking]]) -> NoReturn:
    """Send what comes until the worker is gone, and end the process.

    Args:
        tracked: gives the tracking of a run, by the plan's digest and the engine's own id of the run.
    """
    parser = argparse.ArgumentParser(prog="python -m turnout.runtime send")
    for name in ("--plan", "--engine-run"):
        parser.add_argument(name, required=True)
    parser.add_argument("--parent", type=int, required=True, help="the worker's process")
    given = parser.parse_args(arguments)
    inbox: Inbox = queue.SimpleQueue()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a tracker's client prints is no answer
    receiving = threading.Thread(target=_receive, args=(inbox,), daemon=True)
    receiving.start()
    threading.Thread(target=_watch, args=(inbox, given.parent, receiving), daemon=True).start()
    with tracked(given.plan, given.engine_run) as tracking:
        Courier(tracking, answers).work(inbox)
    os._exit(0)  # the worker waits: what a tracker's client does at its leisure when a process ends is not its business


def _receive(inbox: Inbox) -> None:
    """Take in whatever comes, at once: a step must not wait for its tracker."""
    decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
    for line in sys.stdin.buffer:
        if line.endswith(b"\n"):
            inbox.put(decoder.decode(line))
    _leave(inbox)


def _watch(inbox: Inbox, parent: int, receiving: threading.Thread) -> None:
    """Notice that the worker is gone where a process it forked still holds the pipe; what is in that comes first."""
    while os.getppid() == parent:
        time.sleep(_WATCH)
    receiving.join(_LAST)
    _leave(inbox)


def _leave(inbox: Inbox) -> None:
    inbox.put(None)
    time.sleep(GRACE)
    os._exit(1)


class Courier:
    """Sends what an attempt logs in parts: so many points, or after so many seconds, or when it ends."""

    def __init__(self, tracking: Tracking, answers: int) -> None:
        self._tracking = tracking
        self._answers = answers
        self._attempt: Begin | None = None
        self._points: list[Point] = []
        self._params: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        self._due: float | None = None
        self._refused: UnsupportedError | None = None
        """What of the attempt the tracker cannot take; it has the rest."""

    def work(self, inbox: Inbox) -> None:
        """Take messages until the worker is gone."""
        while True:
            left = None if self._due is None else self._due - time.monotonic()
            if left is not None and left <= 0:  # even while more keeps coming
                self._flush()
                continue
            try:
                message = inbox.get(timeout=left)
            except queue.Empty:
                continue
            if message is None:
                self._flush()
                return
            self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Begin():
                self._attempt, self._points, self._params, self._sent, self._due = message, [], {}, {}, None
                self._refused = None
            case Log(point=point, params=params):
                self._points += [] if point is None else [point]
                self._params |= params
                self._schedule()
            case End(report=report, streamed=streamed):
                self._end(report, streamed=streamed)
            case Finish(state=state):
                self._answered(lambda: self._tracking.send_end(state))

    def _schedule(self) -> None:
        """Set the time of the next sending, unless one is set or the last has failed."""
        settings = self._settings()
        if settings is None or not settings.flush_seconds:
            return
        if self._due is None:
            self._due = time.monotonic() + settings.flush_seconds
        if len(self._points) == settings.flush_points:
            self._due = time.monotonic()

    def _settings(self) -> TrackerConfig | None:
        try:
            tracker = self._tracking.tracker
        except Exception:
            return None  # the end of the attempt says it
        return None if tracker is None or not isinstance(tracker.config, TrackerConfig) else tracker.config

    def _flush(self) -> None:
        """Send what there is. Where that fails, it waits for the end of the attempt, which says so."""
        began, self._due = time.monotonic(), None
        attempt, tracking = self._attempt, self._tracking
        if attempt is None or not (self._points or self._params):
            return
        try:
            tracker = tracking.tracker
            assert tracker is not None
            tracker.log(
                Batch(
                    run=tracking.run.info,
                    external_id=tracking.external_id(tracker),
                    step=attempt.step,
                    index=attempt.index,
                    attempt=attempt.attempt,
                    points=tuple(self._points),
                    params=self._params,
                )
            )
        except UnsupportedError as error:  # the rest of it has arrived
            self._refused = error
        except Exception as error:
            print(tracking.failed(error), file=sys.stderr, flush=True)
            settings = self._settings()
            if settings is not None:  # a tool that is down is not asked all the time
                self._due = time.monotonic() + settings.flush_seconds + 2 * (time.monotonic() - began)
            return
        self._sent |= self._params
        self._points, self._params = [], {}

    def _end(self, report: Report, *, streamed: bool) -> None:
        if streamed:
            params = {name: value for name, value in report.logged.params.items() if self._sent.get(name) != value}
            logged = msgspec.structs.replace(report.logged, points=tuple(self._points), params=params)
            report = msgspec.structs.replace(report, logged=logged)
        refused = self._refused
        self._attempt, self._points, self._params, self._sent, self._due, self._refused = None, [], {}, {}, None, None

        def send() -> None:
            self._tracking.send(report)
            if refused is not None:
                raise refused

        self._answered(send)

    def _answered(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            missed = self._tracking.missed("", error)
            self._answer(Answer(missed.why, missed.fix, missed.final))
        else:
            self._answer(Answer())

    def _answer(self, answer: Answer) -> None:
        line = canonical.encode(answer) + b"\n"
        while line:
            line = line[os.write(self._answers, line) :]
