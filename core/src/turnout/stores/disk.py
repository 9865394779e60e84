"""What the local store needs of a file system beyond the standard library, and its errors in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any

from turnout.base.canonical import CHUNK

_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FIRST = 16_384  # bytes: most files, records among them, are smaller
_COLLISIONS = 100  # folders that other processes remove between our making and our using them

_NO_LINKS = (
    "the file system has no hard links, by which exactly one writer can win",
    "put the store on a disk or network file system that has them, or use an s3://, gs:// or abfs:// store",
)
_REASONS: dict[int, tuple[str, str]] = {
    errno.EROFS: ("the file system is read-only", "mount it writable, or choose another root"),
    errno.EACCES: ("permission denied", "give this user the right to read and write below the root"),
    errno.EPERM: (
        "the operation is not permitted",
        "check that the file system is writable and the folder not immutable",
    ),
    errno.ENOENT: (
        "the folder has gone away",
        "bring it back (is the disk mounted?)",
    ),
    errno.EFBIG: ("the file would be larger than the limit for files", "raise the limit (ulimit -f)"),
    errno.ENOSPC: ("the disk is full", "free some space, or choose another root"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another root"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "remove the file, or choose another root"),
    errno.EISDIR: ("it is a folder", "remove it, or choose another root"),
    errno.ENAMETOOLONG: ("the name is too long for the file system", "use shorter file names or a shorter root"),
    errno.ELOOP: ("it is a symbolic link, which the store does not follow", "remove the link"),
    errno.EMFILE: ("this process has too many open files", "raise the limit (ulimit -n)"),
    errno.EMLINK: _NO_LINKS,
    errno.ENOTSUP: _NO_LINKS,
    errno.EOPNOTSUPP: _NO_LINKS,
    errno.ENOSYS: _NO_LINKS,
    errno.EXDEV: (
        "its folder lies on another file system than the root",
        "keep the whole store on one file system, or move all of it",
    ),
}


def explain(error: OSError) -> tuple[str, str | None]:
    """Why a file system refused, and what to do about it."""
    return _REASONS.get(error.errno or 0, (error.strerror or str(error), None))


def open_plainly(path: str, flags: int = os.O_RDONLY) -> int:
    """Open a file, not following a symbolic link."""
    return os.open(path, flags | _PLAIN)


def read(path: str) -> bytes:
    """The bytes of a file, not following a symbolic link.

    Raises:
        IsADirectoryError: when it is a folder.
    """
    descriptor, parts, size = open_plainly(path), [], _FIRST
    try:
        while part := os.read(descriptor, size):
            parts.append(part)
            size = CHUNK
    finally:
        os.close(descriptor)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write(descriptor: int, data: bytes) -> None:
    """Write all of *data* to an open file."""
    done = os.write(descriptor, data)
    while done < len(data):
        done += os.write(descriptor, memoryview(data)[done:])


def remove(path: str) -> None:
    """Remove a file, should it be there."""
    try:  # a context that suppresses costs as much as the call
        os.unlink(path)
    except FileNotFoundError:
        return


def link(source: str, target: str, descriptor: int) -> bool:
    """Give a file a further name unless that is taken; make the folders that lead to it.

    Args:
        source: the name it has.
        target: the name it gets.
        descriptor: the file, open.

    Returns:
        whether the name was free.

    Raises:
        FileNotFoundError: when the file has lost its own name.
    """
    for _ in range(_COLLISIONS):
        try:
            os.link(source, target)
        except FileNotFoundError:
            os.lstat(source)  # where the whole store has gone away, nothing is made in its place
            _make_folders(os.path.dirname(target))
        except FileExistsError:
            # A network file system may answer a second time: its first answer, now lost, was that the link is made.
            return _is_same(target, descriptor)
        except OSError as error:
            if error.errno == errno.EPERM:  # the file could be written, so what is not permitted is the link
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), target) from error
            raise
        else:
            return True
    raise FileNotFoundError(errno.ENOENT, "folders are removed as often as they are made", target)


def make_folder(folder: str) -> bool:
    """Make a folder, should that be possible; return whether it is. Who needs it will tell why it is not."""
    try:
        os.mkdir(folder)
    except OSError:
        return False
    return True


def _make_folders(folder: str) -> None:
    """Make a folder and those above it, or fail to because others are being removed at the same time."""
    try:
        try:
            os.mkdir(folder)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
    except FileNotFoundError:
        return
    except FileExistsError as error:  # it is a file, or was a folder a moment ago
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from error


def _is_same(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def newest(entry: os.DirEntry[str]) -> float:
    """When a file, or anything in a folder, was last written."""
    try:
        latest = entry.stat(follow_symlinks=False).st_mtime
        if entry.is_dir(follow_symlinks=False):
            with os.scandir(entry) as entries:
                latest = max([latest, *map(newest, entries)])
    except FileNotFoundError:
        return float("-inf")
    return latest


def synchronise(folder: str) -> None:
    """Write all that the file system of a folder holds in memory to its disk."""
    import ctypes

    syncfs: Any = getattr(ctypes.CDLL(None), "syncfs", None) if os.name == "posix" else None
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        syncfs(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: str) -> None:
    """Make the names in a folder durable; a folder that is gone has none."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
