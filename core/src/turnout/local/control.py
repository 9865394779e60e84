"""The engine's control: a named pipe by which any process of this machine sees that a run lives, and can stop it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Literal

from turnout.errors import ConfigError, RunError

NAME = "control"
CANCEL, WAKE = b"c", b"w"


class Control:
    """The engine's end: one a run, in all processes of this machine, as long as it is open.

    Where the file system has no named pipes, no other process sees or stops the run; where it has no locks, a second
    engine is not refused.

    Args:
        folder: the folder of the run's log files, which bears the run's name.

    Raises:
        ConfigError: when the folder cannot be made.
        RunError: when another engine runs the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = threading.Lock()
        self._open = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = _locked(folder)
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder of the log files cannot be used: {error}", fix="choose another: orchestrator: {logs: …}"
            ) from error
        try:
            os.mkfifo(self.path, 0o600)
            self._reader = self._writer = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._reader

    def cancelled(self) -> bool:
        """Take what was written; say whether a cancellation was."""
        with contextlib.suppress(BlockingIOError):
            return CANCEL in os.read(self._reader, 1 << 12)
        return False

    def write(self, message: bytes) -> None:
        """Say something to the engine, from any thread; nothing happens when it has ended."""
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._open:
                os.write(self._writer, message)

    def close(self) -> None:
        """Remove the pipe."""
        with self._lock:
            self._open = False
            self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)  # a process forked from this one would keep it
            for descriptor in {self._reader, self._writer, self._lock_file}:
                os.close(descriptor)


def _locked(folder: Path) -> int:
    """The folder, open and locked; the lock is gone with its process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunError(
            f"the run {folder.name} is in progress: another process runs it",
            fix=f"wait for its end, or stop it: turnout runs cancel {folder.name[:8]}",
        ) from None
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF}:
            raise
    return descriptor


def send(folder: Path, message: bytes = b"") -> Literal["sent", "dead", "none"]:
    """Write to the control of the run whose log folder this is; with no message, only look whether its engine lives.

    Returns:
        ``dead`` where the engine was killed, ``none`` where the run has ended or never was here.
    """
    try:
        descriptor = os.open(folder / NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "none"
    except OSError as error:
        if error.errno == errno.ENXIO:
            return "dead"
        raise
    try:
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            if message:
                os.write(descriptor, message)
    finally:
        os.close(descriptor)
    return "sent"
