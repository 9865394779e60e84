"""The engine's control: a named pipe by which any process of this machine sees that a run lives, and can stop it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from turnout.base.errors import ConfigError, RunError

NAME = "control"
CANCEL, WAKE = b"c", b"w"
_PLAINLY = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _PLAINLY
Found = Literal["sent", "dead", "none", "other"]


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
        self._lock = threading.Lock()
        self._open = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = _locked(folder)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(NAME, dir_fd=self._folder)
        except OSError as error:
            raise ConfigError(
                f"the folder of the log files cannot be used: {error}", fix="choose another: orchestrator: {logs: …}"
            ) from error
        try:
            os.mkfifo(NAME, 0o600, dir_fd=self._folder)
            self._reader = self._writer = os.open(NAME, os.O_RDWR | _PLAINLY, dir_fd=self._folder)
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
            with contextlib.suppress(OSError):
                os.unlink(NAME, dir_fd=self._folder)
            with contextlib.suppress(OSError):
                fcntl.flock(self._folder, fcntl.LOCK_UN)  # a process forked from this one would keep it
            for descriptor in {self._reader, self._writer, self._folder}:
                os.close(descriptor)


def _locked(folder: Path) -> int:
    """The folder, open and locked; the lock is gone with its process, however that ends."""
    descriptor = os.open(folder, _FOLDER)
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


def send(folder: Path, message: bytes = b"") -> Found:
    """Write to the control of the run whose log folder this is; with no message, only look whether its engine lives.

    Returns:
        ``dead`` where the engine was killed, ``none`` where the run has ended or never was here, ``other`` where what
        lies there is no engine's: a link, a file, another user's pipe. Nothing is written to that.
    """
    try:
        with _opened(folder, _FOLDER) as here, _opened(NAME, os.O_WRONLY | os.O_NONBLOCK | _PLAINLY, here) as control:
            status = os.fstat(control)
            if not stat.S_ISFIFO(status.st_mode) or os.getuid() not in {0, status.st_uid}:
                return "other"
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                if message:
                    os.write(control, message)
    except FileNotFoundError:
        return "none"
    except OSError as error:
        return "dead" if error.errno == errno.ENXIO else "other"
    return "sent"


@contextlib.contextmanager
def _opened(path: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
