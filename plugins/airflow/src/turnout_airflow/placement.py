"""Where DAG files are placed for Airflow to read: a folder of this machine, or one behind a URL that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from turnout.plugin_api import ConfigError, RunError, marked


class Placed(NamedTuple):
    """Files in a folder of their own: its name, where it lies, and when its DAG was last written (epoch seconds)."""

    name: str
    address: str
    written: float


class DagsFolder(ABC):
    """The folder that Airflow reads."""

    @abstractmethod
    def place(self, name: str, files: Mapping[str, bytes]) -> Placed:
        """Write files into the folder *name* in it, unless they are there; a reader sees each whole or not at all."""

    @abstractmethod
    def remove(self, name: str, files: Iterable[str]) -> str:
        """Remove files from the folder *name*, and the folder when nothing is left; return where it was."""


def dags_folder(address: str) -> DagsFolder:
    """The folder that a stack names.

    Raises:
        ConfigError: when there is none, no such folder, or nothing installed that knows its URL.
    """
    if not address:
        raise ConfigError(
            "the stack does not say where Airflow reads DAG files from",
            fix="set orchestrator: {type: airflow, dags_folder: …}, or use `turnout export`",
        )
    return RemoteFolder(address) if "://" in address else LocalFolder(Path(address))


def _dag_files(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.endswith(".py")]


class LocalFolder(DagsFolder):
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(
                f"there is no folder {root}", fix="set dags_folder to the one that Airflow reads, or make it"
            )
        self._root = root

    def place(self, name: str, files: Mapping[str, bytes]) -> Placed:
        """By a temporary file beside each."""
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        for file, data in marked(files).items():  # it may lie in a project
            path = folder / file
            if path.exists() and path.read_bytes() == data:
                continue
            partial = path.with_name(f".{file}.{os.getpid()}.part")
            partial.write_bytes(data)
            partial.replace(path)
        return Placed(name, str(folder), max((folder / file).stat().st_mtime for file in _dag_files(files)))

    def remove(self, name: str, files: Iterable[str]) -> str:
        """What a user put beside them stays."""
        folder = self._root / name
        for file in marked(dict.fromkeys(files, b"")):
            (folder / file).unlink(missing_ok=True)
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        with contextlib.suppress(OSError):  # it was never there, or somebody put something of their own into it
            folder.rmdir()
        return str(folder)


class RemoteFolder(DagsFolder):
    """A folder behind a URL, such as a bucket that a DAG bundle reads; credentials are fsspec's own affair."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ConfigError(
                f"DAG files cannot be sent to {url}", why="fsspec is not installed", fix="pip install fsspec"
            ) from error
        try:
            self._files, root = url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"DAG files cannot be sent to {url}",
                why=str(error),
                fix="install what fsspec needs for such URLs, or correct dags_folder",
            ) from error
        self._root = str(root).rstrip("/")

    def place(self, name: str, files: Mapping[str, bytes]) -> Placed:
        """Each file in one piece, the DAG file last: it finds the others there."""
        with self._explained("written"):
            with contextlib.suppress(FileExistsError):  # without parents: a bucket is not made by a slip of the pen
                self._files.mkdir(f"{self._root}/{name}", create_parents=False)
            for file in sorted(files, key=lambda one: one.endswith(".py")):
                path = f"{self._root}/{name}/{file}"
                if not self._files.exists(path) or self._files.cat_file(path) != files[file]:
                    with self._files.transaction:
                        self._files.pipe_file(path, files[file])
            times = [self._files.modified(f"{self._root}/{name}/{file}") for file in _dag_files(files)]
        return Placed(name, f"{self._url}/{name}", max(times).timestamp())

    def remove(self, name: str, files: Iterable[str]) -> str:
        """What lies beside them stays."""
        folder = f"{self._root}/{name}"
        with self._explained("changed"):
            for file in files:
                if self._files.exists(f"{folder}/{file}"):
                    self._files.rm_file(f"{folder}/{file}")
            if self._files.exists(folder) and not self._files.ls(folder, detail=False):
                self._files.rmdir(folder)
        return f"{self._url}/{name}"

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[Any]:
        try:
            yield
        except Exception as error:
            raise RunError(
                f"{self._url} cannot be {what}",
                why=f"{type(error).__name__}: {error}",
                fix="check that it is there, and that this machine may write to it",
            ) from error
