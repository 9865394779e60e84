"""What a worker's steps log, handed to a process beside it while they run: see :mod:`turnout.tracking.sender`.

A process, not a thread: a tracker's client is slow to import, has settings in environment variables and answers when
it likes. None of it may show in a step, and what was handed over must survive the step's process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from turnout.base.context import FAMILY
from turnout.base.errors import RunError, UnsupportedError
from turnout.model.records import Point, RunInfo, RunState
from turnout.tracking.report import Report

GRACE = 15.0
"""Seconds that the process has to send what it was handed when its worker is gone."""


_PIPE = 1 << 20
"""Bytes that a step can log before the process has started to read; as much as any user of Linux may ask for."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """An attempt begins."""

    step: str
    index: int | None
    attempt: str


class Log(msgspec.Struct, frozen=True, tag="log", omit_defaults=True):
    """The running attempt has logged something."""

    point: Point | None = None
    params: dict[str, Any] = {}


class End(msgspec.Struct, frozen=True, tag="end"):
    """An attempt has ended. Its points are in the report, unless they were handed over while it ran (``streamed``)."""

    report: Report
    streamed: bool


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The run has ended."""

    state: RunState


Message = Begin | Log | End | Finish


class Answer(msgspec.Struct, frozen=True):
    """What became of an :class:`End` or :class:`Finish`: where it failed, of what, what mends that, and whether nothing
    does."""

    error: str | None = None
    fix: str | None = None
    final: bool = False


class Sender:
    """The worker's side: one process for all steps of a run, started when there is something to send.

    Made before the first step runs: the process gets the environment and the folder of that moment.

    Args:
        work: a folder for temporary files.
    """

    def __init__(self, run: RunInfo, work: Path) -> None:
        self._arguments = ["--plan", run.plan, "--engine-run", run.engine_run]
        self._environ = {name: value for name, value in os.environ.items() if name != FAMILY}  # it ends by itself
        try:
            self._folder = Path.cwd()
        except FileNotFoundError:
            self._folder = work
        self._log = work / "sender.log"
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._attempt: Begin | None = None
        self._streaming = False
        self._answers = msgspec.json.Decoder(Answer)

    def start(self) -> None:
        """Start the process, where there is none, so that others forked from this one can use it."""
        self._pipes()

    def adopt(self) -> None:
        """Let this process, which was forked, be the one that uses it."""
        self._owner = os.getpid()

    def begin(self, step: str, index: int | None, attempt: str) -> None:
        """An attempt begins; nothing is sent yet."""
        self._attempt, self._streaming = Begin(step, index, attempt), False

    def log(self, point: Point | None = None, params: dict[str, Any] | None = None) -> None:
        """Hand over what the attempt logged. One that fails here is made good at the end of the attempt."""
        if self._attempt is None or os.getpid() != self._owner:
            return
        with contextlib.suppress(OSError):
            if not self._streaming:
                self._write(self._attempt)
                self._streaming = True
            self._write(Log(point, params or {}))
            return
        self._stop()
        self._attempt = None

    def end(self, report: Report, *, wanted: bool) -> None:
        """Have all of a report sent, and wait for it.

        Raises:
            RunError: when the tracker failed, or the process did, twice.
        UnsupportedError: when the tracker took all but what it cannot take.
        """
        streamed = self._streaming and self._attempt == Begin(report.step, report.index, report.attempt)
        self._attempt, self._streaming = None, False
        if not wanted and not streamed:
            return
        answer = self._ask(End(_without_points(report), True)) if streamed else None
        answer = answer or self._ask(End(report, False)) or self._ask(End(report, False))
        if answer is None:
            raise RunError(f"the process that sends what steps log ended{self._last_words()}")
        _check(answer)

    def finish(self, state: RunState) -> bool:
        """Have the tracker told how the run ended, if the process is there: whoever else does it starts anew.

        Returns:
            Whether it was told.

        Raises:
            RunError: when the tracker failed.
        """
        answer = None if self._process is None or os.getpid() != self._owner else self._ask(Finish(state))
        if answer is not None:
            _check(answer)
        return answer is not None

    def close(self) -> None:
        """Let the process end; what it still has it sends."""
        if self._process is not None and os.getpid() == self._owner:
            self._stop()

    def _ask(self, question: End | Finish) -> Answer | None:
        """The answer; None where the process is gone."""
        try:
            self._write(question)
            line = self._pipes()[1].readline()
            if line.endswith(b"\n"):
                return self._answers.decode(line)
        except (OSError, msgspec.MsgspecError):
            pass
        self._stop()
        return None

    def _write(self, message: Message) -> None:
        pipe = self._pipes()[0]
        pipe.write(msgspec.json.encode(message) + b"\n")
        pipe.flush()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """The process's input and output; it is started where there is none."""
        if self._process is None:
            with self._log.open("ab") as log, _blocked_signals():
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "turnout.runtime", "send", *self._arguments, "--parent", str(os.getpid())],
                    env=self._environ,
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    pipesize=_PIPE,
                )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return f": {lines[-1]}" if lines else ""


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """A process started meanwhile is not ended by these signals, from its first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check(answer: Answer) -> None:
    if answer.error is not None:
        raise (UnsupportedError if answer.final else RunError)(answer.error, fix=answer.fix)


def _without_points(report: Report) -> Report:
    return msgspec.structs.replace(report, logged=msgspec.structs.replace(report.logged, points=()))
