"""Killing a process of a run at one of its changes to the store's disk: whichever function makes it.

Every change that a Python process makes to a file system (a file created, linked, removed, a folder made) is announced
to its audit hooks before it happens. In a process of a run, :func:`arm` numbers those below one folder, writes each
down, and kills the process at a wanted one. A process arms itself by the ``sitecustomize`` of :func:`installed_in`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

VARIABLE = "TURNOUT_TEST_KILL"
Who = Literal["worker", "run", "both"]
"""A worker, the process of the run, or both at once, at a change that a worker makes."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {"os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.rename": 1, "os.truncate": 0, "os.symlink": 1}
"""Which argument of an event is the path that changes."""


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, and where the process is killed.

    ``folder`` is the store; ``log`` the file to which each change is written; ``at`` the number of the change before
    which is killed, from 0, or None for never. It happens once: to the first process that comes so far.
    """

    folder: str
    log: str
    who: Who = "worker"
    at: int | None = None

    def environment(self, installed: str) -> dict[str, str]:
        """The variables by which the processes of a run arm themselves.

        Args:
            installed: what :func:`installed_in` gave.
        """
        path = os.pathsep.join(filter(None, [installed, os.environ.get("PYTHONPATH")]))
        return {VARIABLE: msgspec.json.encode(self).decode(), "PYTHONPATH": path}

    def changes(self) -> list[str]:
        """The changes of the process meant, in order, each normalised: ``os.link demo/runs/*/run.json``."""
        try:
            return Path(self.log).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    @property
    def killed(self) -> bool:
        """Whether a process was killed."""
        return Path(f"{self.log}.killed").exists()


def installed_in(folder: Path) -> str:
    """Make a ``sitecustomize`` in *folder*; returns what to put on ``PYTHONPATH``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(__file__, folder / "kills_by_number.py")
    (folder / "sitecustomize.py").write_text("from kills_by_number import arm\n\narm()\n", encoding="utf-8")
    return str(folder)


def arm() -> None:
    """Watch this process, if it is the one that the variable means."""
    given = os.environ.get(VARIABLE)
    kill = None if given is None else msgspec.json.decode(given, type=Kill)
    if kill is None or ("serve" in sys.orig_argv) is (kill.who == "run"):
        return
    log = os.open(kill.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    home = kill.folder + os.sep

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        path = _changed(event, arguments)
        if path is None or not path.startswith(home):
            return
        number = os.pread(log, os.fstat(log).st_size, 0).count(b"\n")  # by all processes: a worker has one a step
        os.write(log, f"{event} {normalised(path[len(home) :])}\n".encode())
        if number == kill.at:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(f"{kill.log}.killed", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                if kill.who == "both":
                    os.kill(_parent(os.getsid(0)), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _parent(process: int) -> int:
    import psutil

    return int(psutil.Process(process).ppid())


def _changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The path that an event is about to change, or None where it changes none."""
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        path = arguments[0]
    elif event in _PATHS:
        path = arguments[_PATHS[event]]
    else:
        return None
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else None


def normalised(path: str) -> str:
    """A path of the store with what differs from run to run taken out."""
    path = re.sub(r"^\.staging/.*", ".staging/*", path)
    path = re.sub(r"[0-9a-f]{64}|\b[a-z2-7]{20}\b|\b[0-9a-f]{12}\b", "*", path)
    path = re.sub(r"(?<=^claims/\*/).*", "*", path)
    return re.sub(r"(?<=/cache/\*/)\*\..*", "*", path)
