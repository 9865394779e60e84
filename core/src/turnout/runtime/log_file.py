"""The log files of steps: a file under its own name, never what a link or a pipe of that name leads to."""

from __future__ import annotations

import os
import stat

from turnout.base.errors import ArtifactError

READ = os.O_RDONLY
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def open_log(path: str | os.PathLike[str], flags: int) -> int:
    """Open a log file and return its descriptor.

    Raises:
        ArtifactError: when something else than a file has that name.
        OSError: when it cannot be opened; ``FileNotFoundError`` when it is not there.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise _refused(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(path)
    os.set_blocking(descriptor, True)
    return descriptor


def _refused(path: str | os.PathLike[str]) -> ArtifactError:
    return ArtifactError(
        f"the log file {os.fspath(path)} is not used: it is a link, a folder or a pipe",
        why="what is written to it would go elsewhere",
        fix="see who put it there, and remove it",
    )
