"""A warm worker: one process that runs steps one after another, as the engine that started it asks.

Requests and answers are JSON lines over two pipes. The first request opens a run; each other names a step.
The end of the requests ends the process, so that no worker outlives its engine.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, BinaryIO

import msgspec

from turnout import canonical
from turnout.errors import TurnoutError
from turnout.records.model import StepResult, Submission


class OpenRun(msgspec.Struct, frozen=True, tag="open"):
    """Join a run."""

    plan: str
    engine_run: str
    submission: Submission


class RunStep(msgspec.Struct, frozen=True, tag="step"):
    """Run a step; what it prints goes to the end of the file *log*."""

    step: str
    index: int | None
    log: str


Request = OpenRun | RunStep
_decoder = msgspec.json.Decoder(Request)


def serve(requests: int, answers: int) -> int:
    """Answer requests from the descriptor *requests* on the descriptor *answers* until they end."""
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    session: Any = None
    with os.fdopen(requests, "rb") as source, os.fdopen(answers, "wb") as sink:
        for line in source:
            request = _decoder.decode(line)
            if isinstance(request, OpenRun):
                if session is not None:
                    session.close()
                session = _open(request, sink)
            else:
                _answer(sink, _run(session, request))
    if session is not None:
        session.close()
    return 0


def _open(request: OpenRun, sink: BinaryIO) -> Any:
    from turnout.runtime.session import Session
    from turnout.stores.address import from_environment

    try:
        session = Session.open(from_environment(os.environ), request.plan, request.engine_run, request.submission)
    except TurnoutError as error:
        _answer(sink, StepResult(state="failed", message=str(error)))
        return None
    _answer(sink, StepResult(state="succeeded"))
    return session


def _run(session: Any, request: RunStep) -> StepResult:
    from turnout.runtime.step import run_step

    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    saved = os.dup(1), os.dup(2)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        return run_step(session, request.step, request.index)
    except Exception as error:
        traceback.print_exc()
        return StepResult(state="failed", retryable=True, message=f"{type(error).__name__}: {error}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, number in zip(saved, (1, 2), strict=True):
            os.dup2(target, number)
            os.close(target)


def _answer(sink: BinaryIO, result: StepResult) -> None:
    sink.write(canonical.encode(result) + b"\n")
    sink.flush()
