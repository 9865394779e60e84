"""The call that every engine makes: ``python -m turnout.runtime``, its exit codes, and the end of all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol

import msgspec

from turnout.base import canonical, clock, names
from turnout.components.orchestrator import StepStatus
from turnout.engines import processes
from turnout.model.plan import Plan
from turnout.model.records import Record, StepResult, Submission

LOGS = "TURNOUT_LOGS"
"""The variable with a folder in which the output of each step is kept as well, where one is set."""

ENGINE_RUN = "TURNOUT_ENGINE_RUN"
"""The variable with the id of the run, for an engine that a driver of ours starts."""
FINISHED = "finished"
"""The file, in the folder of such a run, by which its engine tells the driver that the end is marked."""


class Exit(IntEnum):
    """What the exit code of a call says."""

    COMMITTED = 0
    RETRY = 1
    """It failed, and another try may succeed."""
    FINAL = 2
    """It failed for good."""
    SKIPPED = 99


def step_command(plan: str, engine_run: str, step: str, index: int | None = None, *more: str) -> list[str]:
    """The command that runs a step, or one element of a mapped step.

    Args:
        plan: the digest of the plan.
        engine_run: the engine's own id of the run.
        more: further options, such as ``--outcome FILE``.
    """
    element = () if index is None else ("--index", str(index))
    return [*command("step", plan, engine_run), "--step", step, *element, *more]


def lost_command(
    plan: str, engine_run: str, step: str, index: int | None, process: Process, message: str, *more: str
) -> list[str]:
    """The command that puts on record how a call of a step ended that could not say so itself.

    Args:
        process: the call.
        message: how it ended.
    """
    words = step_command(plan, engine_run, step, index, *more)
    words[words.index("step")] = "lost"
    kind = "Timeout" if process.timed_out else "ProcessDied"
    return [*words, "--started", process.started, "--kind", kind, "--message", message]


def finish_command(plan: str, engine_run: str, *more: str) -> list[str]:
    """The command that marks the end of a run; ``--cancelled`` says that it was stopped on purpose."""
    return [*command("finish", plan, engine_run), *more]


def command(call: str, plan: str, engine_run: str) -> list[str]:
    """The words that every call of the runtime begins with."""
    return [sys.executable, "-m", "turnout.runtime", call, "--plan", plan, "--engine-run", engine_run]


def finish(plan: str, engine_run: str, environ: Mapping[str, str], *more: str) -> int:
    """Mark the end of a run, and return the exit code of that call: 0 for a run that has succeeded, 2 for another."""
    done = subprocess.run(finish_command(plan, engine_run, *more), env=dict(environ), check=False)
    return done.returncode


def finished(folder: Path) -> None:
    """For an engine that marks the end of its runs itself: it has."""
    from turnout.runtime.log_file import APPEND, open_log

    os.close(open_log(folder / FINISHED, APPEND))


def log_name(step: str, index: int | None = None) -> str:
    """The name of the file with what a step, or an element, has printed in all its attempts."""
    return f"{names.label(step, index)}.log"


def called(plan: Plan, folder: Path, *, cut_off: bool = False) -> tuple[StepStatus, ...]:
    """The steps of a run that were called, by their log files in *folder*; those that ended have records, which count.

    Args:
        cut_off: whether the run's engine was killed, and they with it: then they have failed.
    """
    state: Literal["failed", "running"] = "failed" if cut_off else "running"
    places = [names.place(path.name.removesuffix(".log")) for path in folder.glob("*.log")]
    return tuple(
        StepStatus(step=step, index=index, state=state, message="its engine was killed" if cut_off else "")
        for step, index in sorted(places, key=lambda place: (place[0], place[1] or 0))
        if step in plan.by_name
    )


class Output(Protocol):
    """Something that takes what a process prints."""

    def write(self, line: bytes, /) -> Any:
        """Take a line."""

    def flush(self) -> None:
        """Hold nothing back."""


class Process:
    """A process of the runtime, in a session of its own, so that all it started can be stopped with it.

    Args:
        environ: all its variables.
        outputs: where its output goes, line by line; what it writes to standard error is among it.
        timeout: the seconds after which it is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        outputs: Sequence[Output],
        timeout: float | None = None,
    ) -> None:
        self.timed_out = False
        self.started = clock.now()
        self._outputs = outputs
        self._timeout = timeout
        self._process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> int:
        """Wait for its end and return its exit code: :attr:`Exit.RETRY` where it was killed."""
        timer = threading.Timer(self._timeout, self._time_out) if self._timeout is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            assert self._process.stdout is not None
            with self._process.stdout as lines:
                for line in lines:
                    for output in self._outputs:
                        output.write(line)
                        output.flush()
            code = self._process.wait()
        except BaseException:
            self.kill()
            self._process.wait()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return code if code >= 0 else Exit.RETRY

    @property
    def death(self) -> str:
        """How it ended, in words: for one that did not say so itself."""
        if self.timed_out:
            return f"was stopped at its timeout of {self._timeout:g} seconds"
        return processes.death(self._process.wait())

    def kill(self) -> None:
        """End the process and all it started."""
        kill(self._process)

    def _time_out(self) -> None:
        self.timed_out = True
        self.kill()


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process that leads a session, with all of that session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _stopped_with_this(process: Process) -> Iterator[None]:
    """While it waits, a signal that asks this process to end kills the other first."""
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        process.kill()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        sys.exit(Exit.RETRY)


@contextlib.contextmanager
def log_of(step: str, index: int | None, environ: Mapping[str, str] = os.environ) -> Iterator[IO[bytes]]:
    """The log file of a step in the folder that :data:`LOGS` names, open at its end; nothing is kept where none is."""
    folder = environ.get(LOGS)
    if not folder:
        with Path(os.devnull).open("ab") as nothing:
            yield nothing
        return
    from turnout.runtime.log_file import APPEND, open_log

    with os.fdopen(open_log(Path(folder, log_name(step, index)), APPEND), "ab") as log:
        yield log


class _Log:
    """The log of a step, without the line with its outcome that the runtime prints last."""

    def __init__(self, log: IO[bytes], outcome: Path) -> None:
        self._log = log
        self._outcome = outcome
        self._held = b""

    def write(self, line: bytes) -> None:
        """Take a line; hold back what may be the outcome, and an empty line, which comes before it."""
        if self._held in {b"", b"\n"} and line.startswith(b'{"') and b'"state":' in line:
            self._held += line
            return
        self._log.write(self._held)
        self._held = line if line == b"\n" else b""
        if not self._held:
            self._log.write(line)

    def flush(self) -> None:
        self._log.flush()

    def end(self) -> None:
        """Write what was held back, if it is not the outcome."""
        if not self._outcome.exists() or self._held.removeprefix(b"\n") != self._outcome.read_bytes():
            self._log.write(self._held)


class Answer(NamedTuple):
    """The answer to a call of the runtime: its exit code and, where the process came so far, the outcome.

    ``record`` is the step's that stands, of a step that is committed or skipped; ``store`` the address of its store.
    """

    code: int
    result: StepResult | None = None
    record: Record | None = None
    store: str = ""


class _Recorded(msgspec.Struct):
    record: Record
    store: str


def call(
    plan: str,
    engine_run: str,
    submission: Submission | None = None,
    step: str = "",
    index: int | None = None,
    *,
    timeout: float | None = None,
) -> Answer:
    """Run a step, an element of a mapped step, or without a step the end of the run, as a task of an engine does.

    What it prints is printed here, and is in the log file of the step. Where it takes longer than it may, it is stopped
    with all it started; likewise where this process is asked to end by a signal, which it then does, with the code
    :attr:`Exit.RETRY`. To be called in the main thread.

    Args:
        plan: the digest of the plan.
        engine_run: the engine's own id of the run.
        submission: parameters and options of the run, where the variable ``TURNOUT_PARAMS`` does not hold them.
        timeout: the seconds that it has.
    """
    environ = dict(os.environ)
    if submission is not None:
        environ["TURNOUT_PARAMS"] = canonical.encode(submission).decode()
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder, contextlib.ExitStack() as stack:
        outcome, record = Path(folder, "outcome.json"), Path(folder, "record.json")
        outputs: list[Output] = [sys.stdout.buffer]
        if step:
            more = (f"--outcome={outcome}", f"--record={record}")
            command = step_command(plan, engine_run, step, index, *more)
            log = _Log(stack.enter_context(log_of(step, index)), outcome)
            stack.callback(log.end)
            outputs.append(log)
        else:
            command = finish_command(plan, engine_run, f"--outcome={outcome}")
        process = Process(command, environ, outputs, timeout)
        with _stopped_with_this(process):
            code = process.wait()
        if step and not outcome.exists():
            message = f"{names.label(step, index)}{' ' if process.timed_out else ': '}{process.death}"
            for output in outputs:
                output.write(f"turnout: {message}\n".encode())
                output.flush()
            lost = lost_command(plan, engine_run, step, index, process, message, *more)
            code = subprocess.run(lost, env=environ, check=False, stdout=subprocess.DEVNULL).returncode
        if not step and code == Exit.COMMITTED and ENGINE_RUN in environ:
            finished(Path(environ[LOGS]))
        result = msgspec.json.decode(outcome.read_bytes(), type=StepResult) if outcome.exists() else None
        if not record.exists():
            return Answer(code, result)
        recorded = msgspec.json.decode(record.read_bytes(), type=_Recorded)
        return Answer(code, result, recorded.record, recorded.store)
