"""The process that keeps an endpoint served: it holds the socket, starts workers, and replaces them without a gap."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from turnout.serving.files import EndpointFolder, Serving, Wanted

STOPPING = 20.0
"""Seconds that a worker has to answer what it has taken, before it is killed: more than it takes by itself."""
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable with the folder in which workers share what they measure: read when Prometheus' client is imported."""
WORKER = "TURNOUT_SERVING_WORKER"
"""The variable with the worker's name among all that share that folder: ``GENERATION-NUMBER``."""
PAUSE = 0.1
AGAIN = 1.0
"""Seconds between two starts of a worker that ends by itself."""


class Worker:
    """A process that answers; ``said`` is what it has told of its start so far."""

    def __init__(self, wanted: Wanted, number: int, folder: EndpointFolder, listener: socket.socket) -> None:
        name = f"{wanted.generation}-{number}"
        for gauge in folder.metrics.glob(f"gauge_live*_{name}.db"):  # of what the one before it was doing
            gauge.unlink(missing_ok=True)
        reading, writing = os.pipe()
        self.ready = False
        self.said = b""
        self._pipe: int | None = reading
        folder.metrics.mkdir(exist_ok=True)
        with folder.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    wanted.interpreter,
                    "-m",
                    "turnout.serving",
                    "worker",
                    str(folder.path),
                    *map(str, (listener.fileno(), writing)),
                ],
                env={**os.environ, **wanted.environment, METRICS: str(folder.metrics), WORKER: name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno(), writing],
            )
        os.close(writing)

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


class Supervisor:
    """Brings up what ``wanted.json`` says, whenever it changes, and keeps that up.

    Args:
        lasting: whether it waits for another change when what is wanted cannot be served, or ends.
    """

    def __init__(self, folder: EndpointFolder, *, lasting: bool = True) -> None:
        self.folder = folder
        self.lasting = lasting
        self.stopping = False
        self.workers: list[Worker] = []
        self.current: Wanted | None = None
        self._started = 0.0

    def run(self) -> None:
        """Serve until a SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        wanted = self.folder.wanted
        assert wanted is not None
        with _listener(wanted) as listener:
            host, port = listener.getsockname()[:2]
            self.url = f"http://{host}:{port}"
            while not self.stopping:
                wanted = self.folder.wanted
                if wanted is None:
                    break
                if self.current is None or wanted.generation != self.current.generation:
                    self._change(wanted, listener)
                self._revive(listener)
                time.sleep(PAUSE)
        end(self.workers)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _change(self, wanted: Wanted, listener: socket.socket) -> None:
        self._say(wanted, "starting")
        workers = [Worker(wanted, n, self.folder, listener) for n in range(wanted.workers)]
        while not self.stopping:
            heard = [worker.hear() for worker in workers]
            if problem := next((text for text in heard if text), None):
                end(workers)
                self._say(wanted, "failed", problem)
                self.stopping = self.stopping or not self.lasting
                break
            if all(text == "" for text in heard):
                old, self.workers = self.workers, workers
                self._say(wanted, "ready")
                end(old, signal.SIGUSR1)
                self._forget(wanted.generation)
                break
            time.sleep(PAUSE / 4)
        else:
            end(workers)
        self.current = wanted

    def _forget(self, generation: int) -> None:
        """Remove what was counted before the generation before this one; that one's counts are read once more."""
        for file in self.folder.metrics.glob("*.db"):
            counted = file.stem.rpartition("_")[2].partition("-")[0]
            if (
                not counted.isdecimal()
                or int(counted) < generation - 1
                or (int(counted) < generation and file.name.startswith("gauge_live"))
            ):
                file.unlink(missing_ok=True)

    def _revive(self, listener: socket.socket) -> None:
        """Start a worker again that has ended by itself."""
        served = self.folder.serving
        if self.current is None or served is None:
            return
        for n, worker in enumerate(self.workers):
            worker.hear()
            if not worker.alive and time.monotonic() - self._started > AGAIN:
                self._started = time.monotonic()
                self.workers[n] = Worker(self.folder.wanted or self.current, n, self.folder, listener)

    def _say(self, wanted: Wanted, state: str, message: str = "") -> None:
        before = self.folder.serving
        served = wanted.versions if state == "ready" else () if before is None else before.versions
        said = {"generation": wanted.generation, "state": state, "message": message, "url": self.url}
        self.folder.serving = msgspec.convert({**said, "versions": served}, Serving)


def end(workers: list[Worker], how: int = signal.SIGTERM) -> None:
    """Stop workers when they have answered what they have taken.

    Args:
        how: SIGUSR1 where others take over: their connections are then given more time.
    """
    for worker in workers:
        worker.signal(how)
    until = time.monotonic() + STOPPING
    for worker in workers:
        try:
            worker.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def _listener(wanted: Wanted) -> socket.socket:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((wanted.host, wanted.port))
    listener.listen(2048)
    return listener


def main(folder: str) -> int:
    """Serve the endpoint of a folder."""
    try:
        Supervisor(EndpointFolder(Path(folder))).run()
    except OSError as error:
        print(f"turnout: the endpoint cannot be served: {error}", file=sys.stderr)
        return 1
    return 0
