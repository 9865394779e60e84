"""The store on a disk: one file an object, created by a hard link, so that a kill at any point leaves no part of it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec

from turnout.base.canonical import CHUNK
from turnout.base.errors import ArtifactError, ConfigError
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.components.base import Config, LocalPath
from turnout.project import written
from turnout.stores import disk, keys
from turnout.stores.worker_settings import to_environment

STAGING = ".staging"
_READ_ONLY = 0o444
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_REMEMBERED = 10_000


class LocalConfig(Config, frozen=True):
    """The settings of a store on a disk."""

    root: Annotated[LocalPath, msgspec.Meta(description="The folder: a path or a file:// URL.")]
    durable: Annotated[
        bool,
        msgspec.Meta(
            description="Whether each object is on the disk when it is created, not only at the end of the run."
        ),
    ] = False


class LocalStore(ArtifactStore[LocalConfig]):
    """Objects as read-only files below a folder, which may lie on a disk or on a network file system.

    An object is written to a temporary file in ``<root>/.staging`` and gets its name by a hard link: the
    file system lets one of any number of writers win, and a name never stands for half an object. Symbolic
    links below the root are not followed.
    """

    name = "local"
    schemes = ("", "file")
    Config = LocalConfig

    def __init__(self, config: LocalConfig) -> None:
        super().__init__(config)
        self._root = os.path.realpath(_folder(config.root))
        self._staging = os.path.join(self._root, STAGING)
        self._token, self._numbers = os.urandom(8).hex(), itertools.count()
        self._known: set[str] = set()
        """Folders that are there and reached without a symbolic link."""
        self._was_here = False

    @property
    def address(self) -> str:
        """The absolute path of the root."""
        return self._root

    def environment(self) -> dict[str, str]:
        """``TURNOUT_STORE``: the absolute path, or a JSON object where ``durable`` is set."""
        return to_environment(self.name, self.config, self._root)

    def read(self, key: str) -> bytes | None:
        """The file's bytes."""
        try:
            return disk.read(self._locate(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            self._check_here("read", key, error)
            return None
        except OSError as error:
            raise self._failure("read", key, error) from error

    def create(self, key: str, data: bytes) -> bool:
        """Write a temporary file and link it to its name."""
        path, there = self._place(key, make=True)
        if there and self._is_taken(key, path):
            return False
        try:
            temporary, descriptor = self._open_temporary()
            try:
                disk.write(descriptor, data)
                return self._commit(key, temporary, path, descriptor)
            finally:
                _close_temporary(temporary, descriptor)
        except OSError as error:
            raise self._failure("write", key, error) from error

    def create_from(self, key: str, path: Path) -> bool:
        """Move a file that lies in :meth:`staging`; copy any other."""
        target, there = self._place(key, make=True)
        if there and self._is_taken(key, target):
            return False
        source = os.fspath(path)
        try:
            with path.open("rb") as stream:
                if self._may_move(source, stream.fileno()):
                    os.chmod(source, _READ_ONLY)
                    created = self._commit(key, source, target, stream.fileno())
                    os.unlink(source)
                    return created
                temporary, descriptor = self._open_temporary()
                try:
                    with os.fdopen(os.dup(descriptor), "wb") as copy:
                        shutil.copyfileobj(stream, copy, CHUNK)
                    return self._commit(key, temporary, target, descriptor)
                finally:
                    _close_temporary(temporary, descriptor)
        except OSError as error:
            raise self._failure("write", key, error) from error

    def fetch(self, key: str, path: Path) -> bool:
        """Copy the file."""
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open(self._locate(key), "rb", buffering=0, opener=disk.open_plainly))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                self._check_here("read", key, error)
                return False
            except OSError as error:
                raise self._failure("read", key, error) from error
            try:
                with path.open("wb") as copy:
                    shutil.copyfileobj(stream, copy, CHUNK)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise self._failure(f"copy to {path}", key, error) from error
        return True

    def exists(self, key: str) -> bool:
        """Whether there is a file of that name."""
        return self.local_path(key) is not None

    def list(self, prefix: str) -> Iterator[Entry]:
        """All files below the folder, in order of their keys."""
        keys.check_prefix(prefix)
        yield from self._walk(prefix)

    def _walk(self, prefix: str) -> Iterator[Entry]:
        head = f"{prefix}/" if prefix else ""
        for entry in sorted(self._scan(prefix), key=_order):
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(head + entry.name)
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield Entry(head + entry.name, status.st_size, status.st_mtime)

    def children(self, prefix: str) -> Sequence[str]:
        """The names of the files and folders in the folder."""
        keys.check_prefix(prefix)
        return sorted(entry.name for entry in self._scan(prefix) if not entry.is_symlink())

    def _scan(self, prefix: str) -> Sequence[os.DirEntry[str]]:
        """What lies in a folder, without the store's own at the top; nothing where there is no such folder."""
        folder = f"{self._root}/{prefix}" if prefix else self._root
        self._confine(folder)
        try:
            with os.scandir(folder) as entries:
                return [entry for entry in entries if prefix or not entry.name.startswith(".")]
        except FileNotFoundError as error:
            self._check_here("list", prefix, error)
            return []
        except NotADirectoryError as error:
            if not prefix:
                raise self._failure("list", prefix, error) from error
            return []
        except OSError as error:
            raise self._failure("list", prefix, error) from error

    def delete(self, key: str) -> None:
        """Remove the file, and the folders that this leaves empty."""
        path = self._locate(key)
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if os.path.isdir(path):
                return
            raise self._failure("delete", key, error) from error
        folder = os.path.dirname(path)
        with contextlib.suppress(OSError):
            while folder != self._root:
                os.rmdir(folder)
                self._known.discard(folder)
                folder = os.path.dirname(folder)

    def local_path(self, key: str) -> Path | None:
        """The file itself. It is read-only; changing it damages the artifact for everyone."""
        path = self._locate(key)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_here("read", key, error)
            return None
        except OSError as error:
            raise self._failure("read", key, error) from error
        return Path(path) if stat.S_ISREG(status.st_mode) else None

    def staging(self) -> Path:
        """``<root>/.staging``: files written below it are moved into the store rather than copied."""
        try:
            was_here = self._was_here
            if not os.path.isdir(self._staging):
                self._make_staging(was_here)
        except OSError as error:
            raise self._failure("write", STAGING, error) from error
        return Path(self._staging)

    def flush(self) -> None:
        """Write everything that any process has created here to the disk, unless ``durable`` did already.

        The whole file system is synchronised in one call: workers of other processes wrote most of it. What processes
        that were killed left in the staging folder is removed once it is a day old.
        """
        if not self.config.durable and os.path.isdir(self._root):
            disk.synchronise(self._root)
        with contextlib.suppress(OSError):  # another user's is not this one's to remove
            self.clean_staging()
            written.mark_store(self._root)

    def clean_staging(self, age: float = 86_400.0) -> int:
        """Remove what killed processes left in :meth:`staging`.

        Args:
            age: how long ago, in seconds, the newest file of a left-over must have been written.

        Returns:
            how many left-overs were removed.
        """
        removed = 0
        limit = time.time() - age
        with contextlib.suppress(FileNotFoundError), os.scandir(self._staging) as entries:
            for entry in entries:
                if disk.newest(entry) > limit:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry)
                    removed += 1
        return removed

    def _locate(self, key: str) -> str:
        """The path of a key, below the root without any doubt."""
        return self._place(key)[0]

    def _place(self, key: str, *, make: bool = False) -> tuple[str, bool]:
        """The path of a key, and whether the folder was there that it lies in, as far as could be told.

        Args:
            make: whether that folder is made, and those that lead to it; none of them directly below the root, which
                may be the place at which a disk is not mounted any more.
        """
        keys.check(key)
        path = f"{self._root}/{key}"
        folder = path[: path.rfind("/")]
        return path, folder in self._known or self._confine(folder, make=make)

    def _confine(self, folder: str, *, make: bool = False) -> bool:
        """Refuse a folder that a symbolic link leads out of the root; return whether anything of its name was there."""
        if folder in self._known or len(folder) <= len(self._root):
            return True
        above = folder[: folder.rfind("/")]
        self._confine(above, make=make)
        if len(above) > len(self._root):
            if above not in self._known:
                return False  # below what is not there, or is no folder, there is nothing
            if make and disk.make_folder(folder):
                self._remember(folder)
                return False
        try:
            mode = os.lstat(folder).st_mode
        except OSError:  # it is not there yet, or what comes next will tell why it cannot be reached
            return False
        if stat.S_ISLNK(mode):
            raise ArtifactError(
                f"the folder {folder} of the artifact store is reached by a symbolic link",
                why="a link below the root could lead anywhere",
                fix="make it a real folder; to use another disk, mount it there or move the whole store",
            )
        if stat.S_ISDIR(mode):
            self._remember(folder)
        return True

    def _remember(self, folder: str) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known.add(folder)

    def _make_staging(self, was_here: bool) -> None:
        """Make the staging folder, and the store with it; not where that was here and has gone away.

        Whether it was here is asked before the folder is looked for: another thread may make it in between.
        """
        if was_here:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._staging)
        os.makedirs(self._staging, exist_ok=True)
        written.mark_store(self._root)

    def _check_here(self, action: str, key: str, error: OSError) -> None:
        """Tell a store that has gone away (a disk that is not mounted any more) from one that lacks an object.

        Raises:
            ArtifactError: when this instance has seen the store, and it is gone.
        """
        was_here = self._was_here  # asked first: another thread may make the store while this one looks
        if os.path.isdir(self._staging):
            self._was_here = True
        elif was_here:
            raise self._failure(action, key, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))) from error

    def _is_taken(self, key: str, path: str) -> bool:
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._failure("write", key, error) from error
        if not stat.S_ISREG(mode):
            raise ArtifactError(
                f"cannot write {key} to the artifact store {self._root}",
                why="something that is not a file has that name already",
                fix="remove it, or choose another root",
            )
        return True

    def _open_temporary(self) -> tuple[str, int]:
        """A new read-only file, open for writing: its path and descriptor."""
        path = f"{self._staging}/{os.getpid()}-{self._token}-{next(self._numbers)}"
        was_here = self._was_here
        try:
            descriptor = os.open(path, _CREATE, _READ_ONLY)
        except FileNotFoundError:
            self._make_staging(was_here)
            descriptor = os.open(path, _CREATE, _READ_ONLY)
        self._was_here = True
        return path, descriptor

    def _may_move(self, source: str, descriptor: int) -> bool:
        """Whether a file is staged and has no other name by which it could be changed later."""
        status = os.fstat(descriptor)
        staged = os.path.realpath(source).startswith(self._staging + os.sep) and not os.path.islink(source)
        return staged and stat.S_ISREG(status.st_mode) and status.st_nlink == 1

    def _commit(self, key: str, source: str, target: str, descriptor: int) -> bool:
        """Give a finished file its name, making folders as needed; return whether the name was free."""
        if self.config.durable:
            os.fsync(descriptor)
        if not disk.link(source, target, descriptor):
            self._is_taken(key, target)
            return False
        folder = target
        while self.config.durable and folder != self._root:
            folder = os.path.dirname(folder)
            disk.fsync_folder(folder)
        return True

    def _failure(self, action: str, key: str, error: OSError) -> ArtifactError:
        why, fix = disk.explain(error)
        what = f"{key} in the artifact store {self._root}" if key else f"the artifact store {self._root}"
        return ArtifactError(f"cannot {action} {what}", why=why, fix=fix)


def _close_temporary(path: str, descriptor: int) -> None:
    os.close(descriptor)
    disk.remove(path)


def _folder(root: str) -> str:
    """The path that a root stands for."""
    url = urlsplit(root) if root.startswith("file:") else None
    path = os.path.expanduser(root) if url is None else unquote(url.path)
    if "\0" in path:
        raise ConfigError(f"the artifact store's root {root!r} holds a NUL character", fix="give the path of a folder")
    if url and (url.netloc not in {"", "localhost"} or not path.startswith("/") or url.query or url.fragment):
        raise ConfigError(
            f"the artifact store's root {root!r} is not a file URL of this machine",
            fix="write file:///absolute/path, or the path itself",
        )
    return path


def _order(entry: os.DirEntry[str]) -> str:
    """What sorts folders among files as their keys sort."""
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
