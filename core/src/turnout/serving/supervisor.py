"""The process that keeps an endpoint served: it holds the socket, starts workers, and replaces them without a gap."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from turnout.serving.endpoint_folder import EndpointFolder, Serving, Wanted
from turnout.serving.generation import Generation

PAUSE = 0.1
AGAIN = 1.0
"""Seconds between two starts of a worker that ends by itself."""


class Supervisor:
    """Brings up what ``wanted.json`` says, whenever it changes, and keeps that up.

    Args:
        lasting: whether it waits for another change when what is wanted cannot be served, or ends.
    """

    def __init__(self, folder: EndpointFolder, *, lasting: bool = True) -> None:
        self.folder = folder
        self.lasting = lasting
        self.stopping = False
        self.current: Wanted | None = None
        self.serving: Generation | None = None
        self.leaving: list[Generation] = []
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
                self._revive()
                self._see_off()
                time.sleep(PAUSE)
            if self.serving is not None:
                self._leave(self.serving)
            while self.leaving:
                self._see_off()
                time.sleep(PAUSE / 4)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _change(self, wanted: Wanted, listener: socket.socket) -> None:
        self._say(wanted, "starting")
        started = Generation(wanted, self.folder, listener)
        while not self.stopping:
            heard = started.hear()
            if heard:
                self._leave(started)
                self._say(wanted, "failed", heard)
                self.stopping = self.stopping or not self.lasting
                break
            if heard == "":
                old, self.serving = self.serving, started
                if old is not None:
                    self._leave(old, signal.SIGUSR1)
                self._say(wanted, "ready")
                break
            time.sleep(PAUSE / 4)
        else:
            self._leave(started)
        self.current = wanted

    def _leave(self, generation: Generation, how: int = signal.SIGTERM) -> None:
        generation.leave(how)
        self.leaving.append(generation)

    def _see_off(self) -> None:
        """Let go of the generations that have ended, and of what was counted before them."""
        staying = [one for one in self.leaving if not one.gone()]
        if len(staying) < len(self.leaving) and self.serving is not None:
            self._forget(self.serving.wanted.generation)
        self.leaving = staying

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

    def _revive(self) -> None:
        """Start a worker again that has ended by itself."""
        if self.serving is not None and time.monotonic() - self._started > AGAIN and self.serving.revive():
            self._started = time.monotonic()

    def _say(self, wanted: Wanted, state: str, message: str = "") -> None:
        before = self.folder.serving
        served = wanted.versions if state == "ready" else () if before is None else before.versions
        said = {"generation": wanted.generation, "state": state, "message": message, "url": self.url}
        self.folder.serving = msgspec.convert({**said, "versions": served}, Serving)


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
