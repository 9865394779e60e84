"""The processes of one generation of an endpoint: those that clients reach, and those of a canary behind them."""

from __future__ import annotations

import contextlib
import math
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec

from turnout.serving.endpoint_folder import Duty, EndpointFolder, Wanted

METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable with the folder in which workers share what they measure: read when Prometheus' client is imported."""
WORKER = "TURNOUT_SERVING_WORKER"
"""The variable with the worker's name among all that share that folder: ``GENERATION-NUMBER``."""
KILLING = 5.0
"""Seconds beyond its own time limit after which a worker that does not end is killed."""


class Worker:
    """A process that answers; ``said`` is what it has told of its start so far."""

    def __init__(self, duty: Duty, number: int, folder: EndpointFolder, listener: socket.socket) -> None:
        self._again = (duty, number, folder, listener)
        name = f"{duty.wanted.generation}-{number}"
        for gauge in folder.metrics.glob(f"gauge_live*_{name}.db"):  # of what the one before it was doing
            gauge.unlink(missing_ok=True)
        reading, writing = os.pipe()
        self.ready = False
        self.said = b""
        self._pipe: int | None = reading
        folder.metrics.mkdir(exist_ok=True)
        command = [duty.version.interpreter, "-m", "turnout.serving", "worker", str(folder.path)]
        with folder.open_log() as log:
            self.process = subprocess.Popen(
                [*command, str(listener.fileno()), str(writing)],
                env={**os.environ, **duty.wanted.environment, METRICS: str(folder.metrics), WORKER: name},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno(), writing],
            )
        os.close(writing)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stream:  # it has ended: see `hear`
            stream.write(msgspec.json.encode(duty))

    def again(self) -> Worker:
        """Another process in its place."""
        return Worker(*self._again)

    def hear(self) -> str | None:
        """What the worker has said of its start: an empty text that it is ready, else why it is not; None so far."""
        if self._pipe is not None and select.select([self._pipe], [], [], 0)[0]:
            data = os.read(self._pipe, 1 << 16)
            self.said += data
            if not data:
                os.close(self._pipe)
                self._pipe = None
                self.ready = self.said == b"ready"
        if self._pipe is None and not self.ready:
            return self.said.decode(errors="replace") or "its worker ended; see its log"
        return "" if self.ready else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Generation:
    """What is wanted, as processes: ``front`` are those that clients reach, ``behind`` those of a canary.

    These start first and end last, for the others hand them the canary's requests.

    Args:
        listener: the socket that clients reach.
    """

    def __init__(self, wanted: Wanted, folder: EndpointFolder, listener: socket.socket) -> None:
        self.wanted = wanted
        self.front: list[Worker] = []
        self.behind: list[Worker] = []
        self._folder, self._listener = folder, listener
        self._inner: socket.socket | None = None
        self._address = ""
        self._killing = math.inf
        self._dismissed = False
        if len(wanted.versions) > 1:
            self._start_behind()
        else:
            self._start_front()

    def _start_front(self) -> None:
        duty = Duty(wanted=self.wanted, version=self.wanted.versions[0], canary=self._address)
        self.front = [Worker(duty, n, self._folder, self._listener) for n in range(self.wanted.workers)]

    def _start_behind(self) -> None:
        wanted, canary = self.wanted, self.wanted.versions[1]
        # not in the endpoint's folder: the path of such a socket has a hundred bytes at most
        self._address = str(Path(tempfile.mkdtemp(prefix="turnout-")) / "canary")
        self._inner = socket.socket(socket.AF_UNIX)
        self._inner.bind(self._address)
        self._inner.listen(2048)
        duty = Duty(wanted=wanted, version=canary, behind=True)
        numbers = range(wanted.workers, wanted.workers + math.ceil(wanted.workers * canary.share))
        self.behind = [Worker(duty, n, self._folder, self._inner) for n in numbers]

    def hear(self) -> str | None:
        """What its start has come to: an empty text that all answer, else why they cannot; None so far."""
        heard = [worker.hear() for worker in (*self.behind, *self.front)]
        if problem := next((text for text in heard if text), None):
            return problem
        if None in heard:
            return None
        if not self.front:
            self._start_front()
            return None
        return ""

    def revive(self) -> bool:
        """Start a worker again that has ended by itself; whether there was one."""
        for workers in (self.behind, self.front):
            for n, worker in enumerate(workers):
                worker.hear()
                if not worker.alive:
                    workers[n] = worker.again()
                    return True
        return False

    def leave(self, how: int = signal.SIGTERM) -> None:
        """Let the workers end when they have answered what they have taken; :meth:`gone` sees to it.

        Args:
            how: SIGUSR1 where others take over: their connections are then given more time.
        """
        self._killing = time.monotonic() + self.wanted.stop_timeout + KILLING
        for worker in self.front:
            worker.signal(how)

    def gone(self) -> bool:
        """Whether all that leave have ended, by now; asked again and again, it ends those that take too long."""
        alive = [worker for worker in (*self.front, *self.behind) if worker.alive]
        if time.monotonic() > self._killing:
            for worker in alive:
                worker.process.kill()
        if any(worker.alive for worker in self.front):
            return False
        if not self._dismissed:
            self._dismissed = True
            for worker in self.behind:
                worker.signal(signal.SIGUSR1)
        if alive:
            return False
        if self._inner is not None:
            self._inner.close()
            shutil.rmtree(Path(self._address).parent, ignore_errors=True)
        return True
