"""The engine's control: a named pipe by which any process of this machine sees that a run lives, and can stop it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Literal

NAME = "control"
CANCEL, WAKE = b"c", b"w"


class Control:
    """The engine's end. It exists as long as the run is followed; any number of others may write to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        os.mkfifo(self.path, 0o600)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._descriptor

    def cancelled(self) -> bool:
        """Take what was written; say whether a cancellation was."""
        with contextlib.suppress(BlockingIOError):
            return CANCEL in os.read(self._descriptor, 1 << 12)
        return False

    def wake(self) -> None:
        """Let whoever waits for the pipe look around; from any thread, before :meth:`close`."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._descriptor, WAKE)

    def close(self) -> None:
        """Remove the pipe."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


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
