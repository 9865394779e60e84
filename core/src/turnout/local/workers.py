"""Worker processes: started sealed, reused for one step after another, stopped with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import NamedTuple

import msgspec

from turnout.records.model import StepResult
from turnout.runtime import sealed
from turnout.runtime.server import OpenRun, Request

GRACE = 2.0
"""Seconds between asking a worker's processes to stop and killing them."""

_decoder = msgspec.json.Decoder(StepResult)


class WorkerKind(NamedTuple):
    """What tells workers apart: the interpreter, and how many threads libraries may use."""

    interpreter: str
    threads: int


class Worker:
    """One warm process. It leads a session of its own, so that a stop reaches whatever its steps started."""

    def __init__(self, kind: WorkerKind, opening: OpenRun, environ: dict[str, str]) -> None:
        self.kind = kind
        self.opened = False
        self._buffer = b""
        requests, self._requests = os.pipe()
        self.answers, answers = os.pipe()
        self._process = subprocess.Popen(
            [kind.interpreter, "-m", "turnout.runtime", "serve", str(requests), str(answers)],
            env={**os.environ, **environ, **sealed.environment(kind.threads)},
            stdin=subprocess.DEVNULL,
            pass_fds=(requests, answers),
            start_new_session=True,
        )
        os.close(requests)
        os.close(answers)
        self.send(opening)

    def send(self, request: Request) -> None:
        """Ask for something; a worker that is gone shows when its answer is read."""
        line = msgspec.json.encode(request) + b"\n"
        try:
            while line:
                line = line[os.write(self._requests, line) :]
        except BrokenPipeError:
            return

    def receive(self) -> list[StepResult] | None:
        """The answers that have come, once :attr:`answers` is readable; None when the process is gone."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [_decoder.decode(line) for line in lines]

    def death(self) -> str:
        """How the process ended, in words."""
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"its process was killed by {name}{hint}"
        return f"its process ended with exit code {code}"

    def close(self) -> None:
        """Let an idle worker end by itself, and wait for it a little."""
        os.close(self._requests)
        try:
            self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        os.close(self.answers)

    def stop(self) -> None:
        """Stop the worker and every process of its session: asked first, killed after a grace time."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + GRACE
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._requests)
        os.close(self.answers)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return
