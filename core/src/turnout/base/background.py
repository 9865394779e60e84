"""Servers on this machine, for trying things: what is started is written down, so that exactly that is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from turnout.base.errors import ConfigError

PATIENCE = 15.0
"""Seconds that processes have to stop before they are killed."""
CLOCK_CHANGE = 5.0
"""Seconds by which one process may seem to have been started earlier or later than when it was noted."""


class Background:
    """The processes of one purpose, by name; *file* says which were started, and what else is to be known of them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def known(self) -> dict[str, Any]:
        """What was noted with the processes; empty where nothing was started."""
        return {name: value for name, value in self._read().items() if name != "processes"}

    @property
    def running(self) -> tuple[str, ...]:
        """The names of those of the started processes that still run."""
        return tuple(name for name, one in self._read().get("processes", {}).items() if _alive(one))

    def environ(self, name: str) -> Mapping[str, str] | None:
        """The variables that a process was started with; None where it does not run, or may not be asked."""
        import psutil

        one = self._read().get("processes", {}).get(name)
        if one is None or not _alive(one):
            return None
        try:
            found: dict[str, str] = psutil.Process(one["pid"]).environ()
        except psutil.Error:
            return None
        return found

    def start(
        self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str], **noted: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process as a session of its own, so that its children end with it, and note it.

        Raises:
            OSError: when it cannot be started.
        """
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process.returncode = 0  # it outlives this process, which is no reason to warn
        known = self._read()
        processes = {**known.get("processes", {}), name: {"pid": process.pid, "started": _started(process.pid)}}
        written = self._file.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps({**known, **noted, "processes": processes}))
        written.replace(self._file)
        return process

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Held while processes are started: whoever comes meanwhile waits, and then finds them running."""
        import fcntl

        with self._file.with_suffix(".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"turnout: another process is starting what {self._file.parent} is for: waiting", file=sys.stderr)
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def stop(self, patience: float = PATIENCE) -> list[str]:
        """Stop what was started, the last one first, and return the names of what was still running.

        Args:
            patience: seconds that it has, at least those that all have.
        """
        running = {name: one for name, one in self._read().get("processes", {}).items() if _alive(one)}
        for one in reversed(running.values()):
            _signal(one, signal.SIGTERM)
        deadline = time.monotonic() + max(patience, PATIENCE)
        while any(map(_alive, running.values())) and time.monotonic() < deadline:
            time.sleep(0.1)
        for one in running.values():  # what the first of a session leaves behind
            _signal(one, signal.SIGKILL)
        self._file.unlink(missing_ok=True)
        return list(running)

    def _read(self) -> dict[str, Any]:
        try:
            known: dict[str, Any] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return known


def see_free(port: int, fix: str) -> None:
    """Check that a port of the loopback is free.

    Raises:
        ConfigError: when it is not; *fix* says how to choose another.
    """
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(f"port {port} is taken: {error.strerror}", fix=fix) from error


def last_line(log: Path) -> str | None:
    """The last line of a log that is not empty: mostly why a process ended."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else None


def _started(pid: int) -> float | None:
    """When a process was started, in seconds; None where it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _alive(process: Mapping[str, Any]) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process["pid"], os.WNOHANG)  # where it is this process's own child
    started, noted = _started(process["pid"]), process["started"]
    # an id that was given anew has another start; the clock that tells it may have been set since
    return started is not None and noted is not None and abs(started - float(noted)) < CLOCK_CHANGE


def _signal(process: Mapping[str, Any], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process["pid"], number)
