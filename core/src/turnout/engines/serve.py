"""``python -m turnout.runtime serve``: a process that runs steps of one run for an engine, one at a time.

Requests and answers (:mod:`turnout.engines.protocol`) are JSON lines on standard input and output.
The end of its input ends it, with whatever still runs: nothing outlives the engine's process that started it.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder it happens to be called in, whose files could stand for any module

import argparse
import contextlib
import os
import select
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from turnout.base import canonical, clock
from turnout.base import python_gc as garbage
from turnout.base.errors import TurnoutError
from turnout.engines.calling import LOGS, log_name
from turnout.engines.protocol import Answer, Hello, Request
from turnout.engines.workers import Worker, WorkerKind, opening_of
from turnout.model.plan import StepPlan
from turnout.model.records import Failure, Isolation, StepResult
from turnout.runtime import bundle, sealed
from turnout.runtime.attempt import give_up
from turnout.runtime.decision import settle_here
from turnout.runtime.failures import FINAL
from turnout.runtime.interpreter import interpreter_for
from turnout.runtime.joining import join
from turnout.runtime.log_file import APPEND, open_log
from turnout.runtime.parameters import VARIABLE, parse_submission
from turnout.runtime.server import RunStep
from turnout.runtime.session import WORK, Session
from turnout.runtime.store import worker_store


class Requests:
    """The requests that come by a descriptor. They are watched while a step runs: their end ends all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = msgspec.json.Decoder(Request)
        self._lines: list[bytes] = []
        self._buffer = b""
        self.ended = False

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._descriptor

    def read(self) -> None:
        """Take what has come."""
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._lines += lines

    def __iter__(self) -> Iterator[Request]:
        while not self.ended:
            while self._lines:
                yield self._decoder.decode(self._lines.pop(0))
            if not self.ended:
                self.read()


class Lost(NamedTuple):
    """A step whose process could not tell how it ended: why, and what kind of failure that is."""

    message: str
    kind: str
    retryable: bool = True


class Server:
    """Runs the steps of one run in a warm worker, anew for each interpreter and count of threads that steps ask for."""

    def __init__(self, session: Session, requests: Requests, isolation: Isolation) -> None:
        self._session = session
        self._requests = requests
        self._isolation: Isolation = isolation
        self._opening = opening_of(session)
        self._worker: Worker | None = None

    def run(self, request: Request) -> StepResult:
        """Run a step to its end. What is committed, skipped or cached takes no process.

        Raises:
            EOFError: when the requests ended meanwhile: nobody waits for the step.
        """
        if request.step not in self._session.run.plan.by_name:
            return StepResult(
                state="failed", message=f"the run {self._session.run.info.id} has no step {request.step!r}"
            )
        taken = settle_here(self._session, request.step, request.index)
        if isinstance(taken, StepResult):
            return taken
        step, started = self._session.run.plan.by_name[request.step], clock.now()
        deadline = None if request.timeout is None else time.monotonic() + request.timeout
        with self._log(request) as log:
            worker = self._worker_for(step)
            order = RunStep(request.step, request.index, str(log), not taken.looked_up, self._isolation)
            worker.send(order)
            answer = self._answer(worker, request, deadline)
            if isinstance(answer, Lost):
                with os.fdopen(open_log(log, APPEND), "ab") as file:
                    file.write(f"turnout: {answer.message}\n".encode(errors="backslashreplace"))
        if isinstance(answer, StepResult):
            return answer
        failure = Failure(type=answer.kind, message=answer.message, retryable=answer.retryable)
        return give_up(self._session, step, request.index, started, failure)

    def close(self) -> None:
        """End the worker, with what it runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _worker_for(self, step: StepPlan) -> Worker:
        kind = WorkerKind(interpreter_for(self._session, step), sealed.threads_for(step.resources.cores))
        if self._worker is not None and self._worker.kind != kind:
            self._worker.release()
            self.close()
        if self._worker is None:
            session = self._session
            environ = {**session.run.store.environment(), WORK: str(session.work)}
            self._worker = Worker(kind, session.run.info.id, self._opening, environ)
        return self._worker

    def _answer(self, worker: Worker, request: Request, deadline: float | None) -> StepResult | Lost:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([worker.answers, self._requests.fileno()], [], [], left)
            if not ready:
                self.close()
                return Lost(f"{request.label} was stopped at its timeout of {request.timeout:g} seconds", "Timeout")
            if self._requests.fileno() in ready:
                self._requests.read()
                if self._requests.ended:
                    raise EOFError
            if worker.answers in ready:
                answers = worker.receive()
                if answers is None:
                    self.close()
                    return Lost(f"{request.label}: {worker.death()}", "ProcessDied")
                for answer in answers:
                    if worker.opened:
                        return answer
                    worker.opened = True
                    if answer.state == "failed":
                        self.close()
                        return Lost(answer.message, "NoWorker", retryable=False)

    @contextlib.contextmanager
    def _log(self, request: Request) -> Iterator[Path]:
        """The file for what a step prints; it is passed on to standard error where nobody named one."""
        folder = os.environ.get(LOGS)
        if request.log or folder:
            yield Path(request.log or Path(folder or "", log_name(request.step, request.index)))
            return
        log = self._session.work / "printed"
        try:
            yield log
        finally:
            if log.exists():
                with log.open("rb") as file:
                    shutil.copyfileobj(file, sys.stderr.buffer)
                sys.stderr.flush()
                log.unlink()


def main(arguments: list[str]) -> int:
    """Serve until the requests end; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m turnout.runtime serve", description=__doc__)
    parser.add_argument("--plan", required=True, help="the digest of the plan")
    parser.add_argument("--engine-run", required=True, help="the engine's own id of the run")
    parser.add_argument("--bundle", type=Path, help="a folder that holds plan and code, and says where the store is")
    parser.add_argument("--isolation", choices=get_args(Isolation), default="step", help="what runs a step")
    options = parser.parse_args(arguments)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.set_inheritable(answers.fileno(), False)
    os.dup2(2, 1)  # what is printed by whomever must not stand among the answers
    try:
        session = _join(options)
    except TurnoutError as error:
        answers.write(canonical.encode(Hello(failure=str(error))) + b"\n")
        return 2 if isinstance(error, FINAL) else 1
    garbage.now()
    requests = Requests(0)
    server = Server(session, requests, options.isolation)
    answers.write(canonical.encode(Hello()) + b"\n")
    try:
        for request in requests:
            answers.write(canonical.encode(Answer(id=request.id, result=_run(server, request))) + b"\n")
    except (BrokenPipeError, EOFError):
        pass
    finally:
        server.close()
        session.close()
    return 0


def _join(options: argparse.Namespace) -> Session:
    """Put a bundle's plan and code into the store, and join the run."""
    submission = parse_submission(os.environ.get(VARIABLE))
    if options.bundle:
        bundle.enter(options.bundle)
    store = worker_store()
    if options.bundle:
        bundle.upload(options.bundle, options.plan, store)
    return join(store, options.plan, options.engine_run, submission)


def _run(server: Server, request: Request) -> StepResult:
    try:
        return server.run(request)
    except TurnoutError as error:
        return StepResult(state="failed", retryable=not isinstance(error, FINAL), message=str(error))
    except OSError as error:
        return StepResult(state="failed", retryable=True, message=f"{request.label} could not be started: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
