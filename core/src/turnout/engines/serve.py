"""``python -m turnout.runtime serve``: a process that runs steps of one run for an engine, one at a time.

Requests and answers (:mod:`turnout.engines.protocol`) are JSON lines on standard input and output.
The end of its input ends it, with whatever still runs: nothing outlives the engine's process that started it.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder it happens to be called in, whose files could stand for any module

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import msgspec

from turnout import canonical, garbage
from turnout.engines.calling import Process, log_of, step_command
from turnout.engines.protocol import Answer, Hello, Request
from turnout.errors import TurnoutError
from turnout.records.model import Failure, StepResult
from turnout.runtime import bundle, clock
from turnout.runtime.execution import FINAL
from turnout.runtime.parameters import VARIABLE, parse_submission
from turnout.runtime.session import Session
from turnout.runtime.step import report_lost, result_of, take
from turnout.runtime.store import worker_store


class Server:
    """Runs the steps of one run, each in a process of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._environ = {**os.environ}
        self._process: Process | None = None
        self._ended = False
        self._lock = threading.Lock()

    def run(self, request: Request) -> StepResult:
        """Run a step to its end. What needs no process, because it is committed, skipped or cached, has none."""
        taken = take(self._session, request.step, request.index)
        if isinstance(taken, StepResult):
            return taken
        started = clock.now()
        run = self._session.run
        command = step_command(run.plan, run.engine_run, request.step, request.index)
        with ExitStack() as files:
            log: IO[bytes]
            if request.log:
                log = files.enter_context(Path(request.log).open("ab"))
            else:
                log = files.enter_context(log_of(request.step, request.index))
            printed = _Printed(log, sys.stderr.buffer)
            with self._lock:
                if self._ended:
                    raise SystemExit(1)
                self._process = Process(command, self._environ, [printed], request.timeout)
            self._process.wait()
            if (result := printed.result()) is not None:
                return result
            message = _died(request, timed_out=self._process.timed_out)
            log.write(f"turnout: {message}\n".encode())
        return self._lost(request, started, message, "Timeout" if self._process.timed_out else "ProcessDied")

    def end(self) -> None:
        """Kill what runs; nothing is started any more. From any thread."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def _lost(self, request: Request, started: str, message: str, kind: str) -> StepResult:
        """The end of a step whose process could not tell it: as committed, where it came that far."""
        record = self._session.record(request.step, request.index)
        if record is not None:
            return result_of(record, adopted=False)
        failure = Failure(type=kind, message=message)
        report_lost(self._session, self._session.plan.by_name[request.step], request.index, started, failure)
        return StepResult(state="failed", retryable=True, message=message)


class _Printed:
    """Passes on what a call prints, but for its outcome, which is the last line."""

    def __init__(self, *outputs: IO[bytes]) -> None:
        self._outputs = outputs
        self._last = b""

    def write(self, line: bytes) -> None:
        """Take a line, and pass on the one before."""
        self._pass_on()
        self._last = line

    def flush(self) -> None:
        """Nothing else is held back."""

    def result(self) -> StepResult | None:
        """The outcome; None where the process has ended without one."""
        try:
            return msgspec.json.decode(self._last, type=StepResult)
        except msgspec.MsgspecError:
            self._pass_on()
            return None

    def _pass_on(self) -> None:
        for output in self._outputs:
            output.write(self._last)
            output.flush()
        self._last = b""


def _died(request: Request, *, timed_out: bool) -> str:
    label = request.step if request.index is None else f"{request.step}.{request.index}"
    if timed_out:
        return f"{label} was stopped at its timeout of {request.timeout:g} seconds"
    return f"{label}: its process was killed"


def main(arguments: list[str]) -> int:
    """Serve until the requests end; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m turnout.runtime serve", description=__doc__)
    parser.add_argument("--plan", required=True, help="the digest of the plan")
    parser.add_argument("--engine-run", required=True, help="the engine's own id of the run")
    parser.add_argument("--bundle", type=Path, help="a folder that holds plan and code, and says where the store is")
    options = parser.parse_args(arguments)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.set_inheritable(answers.fileno(), False)
    os.dup2(2, 1)  # what is printed by whomever must not stand among the answers
    try:
        submission = parse_submission(os.environ.get(VARIABLE))
        if options.bundle:
            bundle.enter(options.bundle)
        store = worker_store()
        if options.bundle:
            bundle.upload(options.bundle, options.plan, store)
        session = Session.open(store, options.plan, options.engine_run, submission)
    except TurnoutError as error:
        answers.write(canonical.encode(Hello(failure=str(error))) + b"\n")
        return 2 if isinstance(error, FINAL) else 1
    garbage.now()
    server = Server(session)
    answers.write(canonical.encode(Hello()) + b"\n")
    try:
        for request in _requests(server):
            answers.write(canonical.encode(Answer(id=request.id, result=_run(server, request))) + b"\n")
    except BrokenPipeError:
        server.end()
    finally:
        session.close()
    return 0


def _run(server: Server, request: Request) -> StepResult:
    try:
        return server.run(request)
    except TurnoutError as error:
        return StepResult(state="failed", retryable=not isinstance(error, FINAL), message=str(error))
    except OSError as error:
        return StepResult(
            state="failed", retryable=True, message=f"{request.step}: no process could be started: {error}"
        )


def _requests(server: Server) -> Iterator[Request]:
    """The requests in order. They are read by a thread: their end is noticed while a step runs."""
    requests: SimpleQueue[Request | None] = SimpleQueue()
    decoder = msgspec.json.Decoder(Request)

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(decoder.decode(line))
        server.end()
        requests.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (request := requests.get()) is not None:
        yield request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
