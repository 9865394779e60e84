"""The folder of an endpoint that this machine serves: what is to run, and what does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from turnout.base import canonical
from turnout.model.endpoint_plan import EndpointPlan, decode


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A version by its digest, the share of requests that it answers, and the Python that has its packages."""

    version: str
    share: float
    interpreter: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be served: each change has a higher ``generation``.

    ``versions`` share the requests, the live one first; ``before`` are those that were served until the last change,
    for going back. ``environment`` are the variables by which workers find the store. ``step`` is the one that is
    answered, where other nodes answer the rest.
    """

    generation: int
    versions: tuple[Share, ...]
    before: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 1
    rows: int = 10_000
    bytes: int = 16 << 20
    hosts: tuple[str, ...] = ()
    named_errors: bool = True
    receive_timeout: float = 60.0
    stop_timeout: float = 60.0
    step: str = ""


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is told: which version it answers.

    ``canary`` is the address of those who answer the requests of a canary; a worker that is ``behind`` is one of them:
    it answers what others hand it.
    """

    wanted: Wanted
    version: Share
    canary: str = ""
    behind: bool = False


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What is served: the generation that the supervisor has brought up last, or could not (``failed``)."""

    generation: int
    state: Literal["starting", "ready", "failed"]
    url: str = ""
    message: str = ""
    versions: tuple[Share, ...] = ()


class EndpointFolder:
    """The files of one endpoint; each is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.txt"
        self.to_stderr = False
        """Whether what processes print goes to this one's standard error, not into the log."""
        self.metrics = path / "metrics"
        self.processes = path / "processes.json"

    def open_log(self) -> IO[bytes]:
        """Where processes print to: a stream to append to."""
        # a copy of the stream: opening /dev/stderr fails for a socket, and where another user made it
        return os.fdopen(os.dup(2), "wb") if self.to_stderr else self.log.open("ab")

    def plan(self, version: str) -> EndpointPlan:
        """The plan of a version."""
        return decode((self.path / f"{version}.json").read_bytes(), f"the endpoint's version {version[:12]}")

    def keep(self, plan: EndpointPlan) -> None:
        """Keep a version's plan."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._write(f"{plan.digest}.json", plan.encode())

    @property
    def wanted(self) -> Wanted | None:
        """What is to be served; None where nothing was deployed."""
        wanted: Wanted | None = self._read("wanted.json", Wanted)
        return wanted

    @wanted.setter
    def wanted(self, wanted: Wanted) -> None:
        self._write("wanted.json", canonical.encode(wanted))

    @property
    def serving(self) -> Serving | None:
        """What is served."""
        serving: Serving | None = self._read("serving.json", Serving)
        return serving

    @serving.setter
    def serving(self, serving: Serving) -> None:
        self._write("serving.json", canonical.encode(serving))

    def _read(self, name: str, type_: type[Any]) -> Any:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=type_)
        except (FileNotFoundError, *canonical.UNREADABLE):
            return None

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.path / f".{name}.{os.getpid()}"
        temporary.write_bytes(data)
        temporary.replace(self.path / name)
