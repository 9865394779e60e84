"""A warm worker: one process that runs steps one after another, as the engine that started it asks.

Requests and answers are JSON lines over two pipes. The first request opens a run; each other names a step.
The end of the requests ends the process, so that no worker outlives its engine.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO, cast

import msgspec

from turnout import canonical, garbage
from turnout.errors import TurnoutError
from turnout.records.model import RunState, StepResult, Submission
from turnout.runtime.log_file import APPEND, open_log


class OpenRun(msgspec.Struct, frozen=True, tag="open"):
    """Join a run."""

    plan: str
    engine_run: str
    submission: Submission


class RunStep(msgspec.Struct, frozen=True, tag="step"):
    """Run a step; what it prints goes to the end of the file *log*; *look_up* says whether the cache may have it."""

    step: str
    index: int | None
    log: str
    look_up: bool = True


class EndRun(msgspec.Struct, frozen=True, tag="end"):
    """Tell the tracker how the run ended, where this worker has a process that knows it already.

    The answer is ``succeeded`` when it was told, ``skipped`` where there is no such process, else ``failed``.
    """

    state: RunState


Request = OpenRun | RunStep | EndRun


def serve(requests: int, answers: int) -> int:
    """Answer requests from the descriptor *requests* on the descriptor *answers* until they end.

    Returns:
        the process's exit code: 1 when the run could not be joined, which the last answer then says.
    """
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    os.register_at_fork(after_in_child=lambda: _cut_off(requests, answers))
    session, owner = None, os.getpid()
    decoder = msgspec.json.Decoder(Request)
    try:
        for line in _lines(requests):
            request = decoder.decode(line)
            if isinstance(request, OpenRun):
                try:
                    session = _open(request)
                except Exception as error:
                    message = str(error) if isinstance(error, TurnoutError) else f"{type(error).__name__}: {error}"
                    _answer(answers, StepResult(state="failed", message=message))
                    return 1
                garbage.now()
                _answer(answers, StepResult(state="succeeded"))
            elif isinstance(request, EndRun):
                _answer(answers, _end(session, request.state))
            else:
                _answer(answers, _run(session, request))
    finally:
        if os.getpid() != owner:
            os._exit(0)
        if session is not None:
            session.close()
    return 0


def _cut_off(*descriptors: int) -> None:
    """Take the pipes from a process that a step forked: it must neither answer nor hide that the worker died."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines that can be read, one at a time."""
    buffer = b""
    while data := os.read(descriptor, 1 << 16):
        *lines, buffer = (buffer + data).split(b"\n")
        yield from lines


def _open(request: OpenRun) -> Any:
    from turnout.runtime.session import Session
    from turnout.runtime.store import worker_store

    return Session.open(worker_store(), request.plan, request.engine_run, request.submission)


def _run(session: Any, request: RunStep) -> StepResult:
    from turnout.runtime.step import run_step

    log = _LateLog(request.log)
    sys.stdout = sys.stderr = cast("TextIO", log)
    session.before_attempt = log.begin
    try:
        return run_step(session, request.step, request.index, look_up=request.look_up)
    except BaseException as error:  # a step's own KeyboardInterrupt, too: no terminal can interrupt a worker
        traceback.print_exc()
        return StepResult(state="failed", retryable=True, message=f"{type(error).__name__}: {error}")
    finally:
        _flush()


def _end(session: Any, state: RunState) -> StepResult:
    from turnout.runtime.tracking import finish_by_sender

    try:
        return StepResult(state="succeeded" if finish_by_sender(session, state) else "skipped")
    except TurnoutError as error:
        return StepResult(state="failed", message=str(error))


class _LateLog(io.TextIOBase):
    """What a step prints to: its log file, made when an attempt begins or something is said before.

    A step that is taken from the cache has none.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def begin(self) -> None:
        """Let all that is printed from now on, by whomever, go to the log."""
        _print_to(self._path)

    def write(self, text: str) -> int:
        """Make the log and write to it."""
        self.begin()
        return sys.stderr.write(text)


def _print_to(log: str) -> None:
    """Let all that is printed from now on go to the end of a file, whatever an earlier step made of the streams."""
    _flush()
    target = open_log(log, APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    sys.stdout = _usable(sys.__stdout__, 1)
    sys.stderr = _usable(sys.__stderr__, 2)


def _usable(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None and not stream.closed:
        return stream
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()


def _answer(descriptor: int, result: StepResult) -> None:
    line = canonical.encode(result) + b"\n"
    with contextlib.suppress(BrokenPipeError):  # the engine is gone: so is the end of the requests
        while line:
            line = line[os.write(descriptor, line) :]
