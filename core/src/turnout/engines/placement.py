"""Files placed where an engine reads them: in a folder of this machine, or one behind a URL that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from turnout.base.errors import ConfigError, RunError
from turnout.project.written import marked


class Placed(NamedTuple):
    """Files in a folder of their own: its name, where it lies, and when the main one was written (epoch seconds)."""

    name: str
    address: str
    written: float


def engine_folder(address: str, setting: str) -> EngineFolder:
    """The folder that a stack names.

    Args:
        setting: what the stack calls it, for errors.

    Raises:
        ConfigError: when there is no such folder, or nothing installed that knows its URL.
    """
    return RemoteFolder(address, setting) if "://" in address else LocalFolder(address, setting)


class EngineFolder(ABC):
    """The folder that an engine reads, which holds one for each thing that is placed."""

    address: str

    def place(self, name: str, files: Mapping[str, bytes], main: str) -> Placed:
        """Write files into the folder *name*, unless they are there; a reader sees each whole or not at all.

        Args:
            main: the file that the engine looks for. It is written last: it finds the others there.

        Raises:
            RunError: when they cannot be written.
        """
        with self._explained("written"):
            self._make(name)
            for file in sorted(self._owned(files), key=lambda one: one == main):
                path, data = f"{name}/{file}", self._owned(files)[file]
                if self._read(path) != data:
                    self._write(path, data)
            return Placed(name, f"{self.address}/{name}", self._modified(f"{name}/{main}"))

    def remove(self, name: str, files: Iterable[str]) -> str:
        """Remove files from the folder *name*, and it when nothing else lies in it; return where it was.

        Raises:
            RunError: when they cannot be removed.
        """
        with self._explained("changed"):
            for file in self._owned(dict.fromkeys(files, b"")):
                self._delete(f"{name}/{file}")
            self._clear(name)
        return f"{self.address}/{name}"

    def _owned(self, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return files

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise RunError(
                f"{self.address} cannot be {what}",
                why=f"{type(error).__name__}: {error}",
                fix="check that it is there, and that this machine may write to it",
            ) from error

    @abstractmethod
    def _make(self, name: str) -> None:
        """Make a folder, unless it is there."""

    @abstractmethod
    def _read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none."""

    @abstractmethod
    def _write(self, path: str, data: bytes) -> None:
        """Write a file in one piece."""

    @abstractmethod
    def _modified(self, path: str) -> float:
        """When a file was written."""

    @abstractmethod
    def _delete(self, path: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def _clear(self, name: str) -> None:
        """Remove a folder, if it is there and empty."""


class LocalFolder(EngineFolder):
    """A folder of this machine. It may lie in a project: what is placed is marked as turnout's own."""

    def __init__(self, address: str, setting: str) -> None:
        self.address = address
        self._root = Path(address)
        if not self._root.is_dir():
            raise ConfigError(
                f"there is no folder {address}", fix=f"set {setting} to the one that the engine reads, or make it"
            )

    def _owned(self, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return marked(files)

    def _make(self, name: str) -> None:
        (self._root / name).mkdir(exist_ok=True)

    def _read(self, path: str) -> bytes | None:
        file = self._root / path
        return file.read_bytes() if file.exists() else None

    def _write(self, path: str, data: bytes) -> None:
        file = self._root / path
        partial = file.with_name(f".{file.name}.{os.getpid()}.part")
        partial.write_bytes(data)
        partial.replace(file)

    def _modified(self, path: str) -> float:
        return (self._root / path).stat().st_mtime

    def _delete(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)

    def _clear(self, name: str) -> None:
        shutil.rmtree(self._root / name / "__pycache__", ignore_errors=True)
        with contextlib.suppress(OSError):  # it was never there, or somebody put something of their own into it
            (self._root / name).rmdir()


class RemoteFolder(EngineFolder):
    """A folder behind a URL, such as one in a bucket; credentials are fsspec's own affair."""

    def __init__(self, address: str, setting: str) -> None:
        self.address = address.rstrip("/")
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ConfigError(
                f"files cannot be sent to {address}", why="fsspec is not installed", fix="pip install fsspec"
            ) from error
        try:
            files, root = url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"files cannot be sent to {address}",
                why=str(error),
                fix=f"install what fsspec needs for such URLs, or correct {setting}",
            ) from error
        self._files: Any = files
        self._root = str(root).rstrip("/")

    def _make(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):  # without parents: a bucket is not made by a slip of the pen
            self._files.mkdir(f"{self._root}/{name}", create_parents=False)

    def _read(self, path: str) -> bytes | None:
        file = f"{self._root}/{path}"
        return bytes(self._files.cat_file(file)) if self._files.exists(file) else None

    def _write(self, path: str, data: bytes) -> None:
        with self._files.transaction:
            self._files.pipe_file(f"{self._root}/{path}", data)

    def _modified(self, path: str) -> float:
        return float(self._files.modified(f"{self._root}/{path}").timestamp())

    def _delete(self, path: str) -> None:
        if self._files.exists(f"{self._root}/{path}"):
            self._files.rm_file(f"{self._root}/{path}")

    def _clear(self, name: str) -> None:
        folder = f"{self._root}/{name}"
        if self._files.exists(folder) and not self._files.ls(folder, detail=False):
            self._files.rmdir(folder)
