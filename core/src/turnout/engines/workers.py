"""Worker processes: started sealed, reused for one step after another, stopped with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid

import msgspec

from turnout.base import canonical
from turnout.engines import processes
from turnout.model.records import StepResult
from turnout.runtime import sealed
from turnout.runtime.server import OpenRun, Request
from turnout.runtime.session import Session
from turnout.stores import layout

_decoder = msgspec.json.Decoder(StepResult)


class WorkerKind(msgspec.Struct, frozen=True):
    """What tells workers apart: the interpreter, and how many threads libraries may use."""

    interpreter: str
    threads: int


def opening_of(session: Session) -> OpenRun:
    """What the workers of a run are opened with: all of them find the plan in a file."""
    file = session.run.store.local_path(layout.plan(session.run.info.plan))
    if file is None:
        file = session.work / "plan.json"
        file.write_bytes(session.run.plan.encode())
    return OpenRun(plan=str(file), run=session.run.info)


class Worker:
    """One warm process. It leads a session of its own, so that no signal of a terminal reaches it.

    Args:
        family: what all workers of an engine are marked with, see :mod:`turnout.engines.processes`.

    Raises:
        OSError: when the process cannot be started.
    """

    def __init__(self, kind: WorkerKind, family: str, opening: OpenRun, environ: dict[str, str]) -> None:
        self.kind = kind
        self.opened = False
        self._buffer = b""
        self._until: float | None = None
        self._name = uuid.uuid4().hex
        requests, self._requests = os.pipe()
        self.answers, answers = os.pipe()
        try:
            self._process = subprocess.Popen(
                [kind.interpreter, "-m", "turnout.runtime", "serve", str(requests), str(answers)],
                env={
                    **os.environ,
                    **environ,
                    **sealed.environment(kind.threads),
                    **processes.mark(family, self._name),
                },
                stdin=subprocess.DEVNULL,
                pass_fds=(requests, answers),
                start_new_session=True,
            )
        except OSError:
            os.close(self._requests)
            os.close(self.answers)
            raise
        finally:
            os.close(requests)
            os.close(answers)
        import psutil  # noqa: F401 - its end asks for it: imported while the worker starts, it costs no time

        self.send(opening)

    def send(self, request: Request) -> None:
        """Ask for something; a worker that is gone shows when its answer is read."""
        line = msgspec.json.encode(request) + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._requests, line) :]

    def receive(self) -> list[StepResult] | None:
        """The answers that have come, once :attr:`answers` is readable; None when the process is gone or babbles."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            return [_decoder.decode(line) for line in lines]
        except canonical.UNREADABLE:
            return None

    def death(self) -> str:
        """How the process ended, in words."""
        return processes.death(self._process.wait())

    def release(self) -> None:
        """Let an idle worker end by itself; :meth:`close` waits for it."""
        os.close(self._requests)
        self._requests = -1
        self._until = time.monotonic() + processes.GRACE

    def terminate(self) -> None:
        """Ask the worker to stop; :meth:`close` waits for it, and stops what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._until = time.monotonic() + processes.GRACE

    def close(self) -> None:
        """Wait for the end of the worker, which is killed when the grace time is over.

        A worker that was not released is stopped with every process it started.
        """
        if self._until is None:
            self.terminate()
        assert self._until is not None
        try:
            self._process.wait(timeout=max(0.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._requests >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # its number is not given again so soon
                os.killpg(self._process.pid, signal.SIGKILL)
            processes.end(self._name, self._until)
            os.close(self._requests)
        os.close(self.answers)
