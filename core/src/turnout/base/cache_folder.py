"""Where a worker keeps what it would make again otherwise: a folder that nobody but its user can write to."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from functools import lru_cache
from pathlib import Path

from turnout.base.errors import ConfigError

VARIABLE = "TURNOUT_CACHE"
"""The environment variable that names the folder; who sets it answers for the folders above it."""


def cache_folder() -> Path:
    """The folder for code packages and environments, which are run, and for the index.

    ``TURNOUT_CACHE``, else the user's cache folder, else one in the system's folder for temporary files: the first that
    can be written to by this user, and by no one else. Where there is none, a new one that is removed at the end.

    Raises:
        ConfigError: when ``TURNOUT_CACHE`` names a folder that others can write to.
    """
    if named := os.environ.get(VARIABLE):
        return _checked(named)
    return _chosen(os.environ.get("XDG_CACHE_HOME") or "", os.path.expanduser("~"), tempfile.gettempdir())  # noqa: PTH111 -- raises nothing


@lru_cache(maxsize=8)
def _checked(named: str) -> Path:
    """The folder of that path, made private where there is none; one that root shares out as ``/tmp`` is will do."""
    folder = Path(named)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError:  # whoever needs to write there says so
        return folder
    user, writable = os.geteuid(), bool(status.st_mode & 0o022)
    if status.st_uid not in (0, user):
        what = f"{named}, which {VARIABLE} names, belongs to another user ({status.st_uid})"
    elif writable and not (status.st_mode & stat.S_ISVTX and status.st_uid == 0):
        what = f"{named}, which {VARIABLE} names, can be written to by others (mode {status.st_mode & 0o7777:o})"
    else:
        return folder
    raise ConfigError(
        what,
        why="code and packages lie there that are run: whoever writes to it could run anything as you",
        fix=f"name one that turnout can make for you alone: {VARIABLE}={folder / f'of-{user}'}",
    )


@lru_cache(maxsize=8)
def _chosen(cache: str, home: str, temporary: str) -> Path:
    users = Path(cache or Path(home, ".cache"), "turnout")
    for folder in (users, Path(temporary, f"turnout-{os.geteuid()}")):
        if folder.is_absolute() and is_private(folder):
            return folder
    made = tempfile.mkdtemp(prefix="turnout-cache-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def is_private(folder: Path) -> bool:
    """Whether a folder, made where there is none, belongs to this user, and no one else can write to or replace it."""
    user = os.geteuid()
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        itself, status = folder.lstat(), folder.stat()
        above = {*folder.parents, *folder.resolve().parents}
        safe = not any(_is_open(parent.stat()) for parent in above) and folder.parent.stat().st_uid in (0, user)
    except (OSError, RuntimeError):
        return False
    mine = itself.st_uid == status.st_uid == user and stat.S_ISDIR(status.st_mode)
    return mine and safe and not status.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK)


def _is_open(status: os.stat_result) -> bool:
    """Whether anyone can replace what lies in a folder."""
    return bool(status.st_mode & stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
