"""What turnout itself has written into a project: known by a marker beside it, or by its path in a stack.

None of it is part of the project's code. In a folder that holds other files, too, only what turnout wrote counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec

from turnout.base import canonical
from turnout.base.errors import ConfigError

STORE = ".turnout-store"
"""The marker in the root of an artifact store on a disk."""
_STORE_TEXT = """\
This folder is an artifact store of turnout, which keeps what pipelines made here.
What turnout wrote into it never travels as part of a project's code.
"""
FILES = ".turnout-files.json"
"""The marker that names the files turnout wrote beside it: exports, placed DAG files, loaded artifacts."""
_DIGEST, _RUN = "[0-9a-f]{64}", "[a-z2-7]{20}"
_OF_STORE = re.compile(
    rf"(?:{re.escape(STORE)}|\.staging/.+|(?:artifacts|code|claims)/{_DIGEST}/.+|(?:plans|exports)/{_DIGEST}\.json"
    rf"|[^/]+/(?:(?:runs|promoted)/{_RUN}/.+|cache/{_DIGEST}/.+|(?:aliases|endpoints)/[^/]+/\d+\.json|changes/{_RUN}\.[^/]+\.json"
    r"|removed/[^/]+\.json))\Z"
)
"""The keys of an artifact store, as :mod:`turnout.stores.layout` makes them."""
_OF_RUN = re.compile(rf"(?:[^/]+/)*{_RUN}/.+\Z")
_OF_ENDPOINT = re.compile(
    rf"(?:{_DIGEST}|wanted|serving|processes)\.json|processes\.lock|log\.txt|metrics/.+|\.[a-z0-9]+\.json\.\d+\Z"
)
"""The files of an endpoint that the local deployer serves, in the endpoint's folder."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Files in a folder that were written together; of an export with what it is of."""

    files: tuple[str, ...]
    project: str = ""
    pipeline: str = ""
    orchestrator: str = ""
    instance: str = ""

    def __post_init__(self) -> None:
        for name in self.files:
            if {"", ".", ".."} & {*name.split("/")} or "\\" in name or "\0" in name:
                raise ValueError(f"{name[:80]!r} is no path below its folder")

    @property
    def owner(self) -> tuple[str, str, str, str]:
        """What writes these files anew, and may remove them."""
        return self.project, self.pipeline, self.orchestrator, self.instance

    @property
    def stack(self) -> tuple[str, str, str]:
        """What exports that share a store have in common."""
        return self.project, self.orchestrator, self.instance


class _Marker(msgspec.Struct, frozen=True):
    written_by_turnout: tuple[Entry, ...]


class Places(msgspec.Struct, frozen=True):
    """What stacks say of where turnout writes, relative to the project's root: ``stores``, ``files``, and folders
    that have one for each run, or for each endpoint."""

    stores: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()


def read(folder: Path) -> tuple[Entry, ...]:
    """What the marker in a folder names; nothing where there is none.

    Raises:
        ConfigError: when it cannot be read.
    """
    path = folder / FILES
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Marker).written_by_turnout
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            why="it names the files in its folder that turnout wrote",
            fix="restore it from version control; or remove the folder and write it again",
        ) from None


def marker(entries: Iterable[Entry]) -> bytes:
    """The content of the marker that names these entries."""
    return canonical.pretty(_Marker(tuple(sorted(entries, key=lambda entry: entry.owner))))


def mark_store(root: str) -> None:
    """Mark a folder as the root of an artifact store, unless it is."""
    with suppress(FileExistsError), Path(root, STORE).open("x", encoding="utf-8") as file:
        file.write(_STORE_TEXT)


def marked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files for a folder of their own, with the marker that keeps them out of a project's code."""
    return {**files, FILES: marker([Entry(files=tuple(sorted(files)))])}


def mark_all(folder: Path) -> None:
    """Mark every file in a new folder as written by turnout."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    (folder / FILES).write_bytes(marker([Entry(files=tuple(files))]))


def find(root: Path, paths: set[str], places: Places) -> dict[str, set[str]]:
    """Which of a project's *paths* turnout wrote, by a line that says where and what they are."""
    found: dict[str, set[str]] = {}
    stores = {_folder(path) for path in paths if path.rpartition("/")[2] == STORE} | places.stores
    for store in sorted(stores):
        found[f"{store}: an artifact store"] = set(_below(store, paths, _OF_STORE))
    for logs in sorted(places.runs):
        found[f"{logs}: files of runs"] = set(_below(logs, paths, _OF_RUN))
    for served in sorted(_served(places.endpoints, paths)):
        found[f"{served}: an endpoint that is served"] = set(_below(served, paths, _OF_ENDPOINT))
    folders = {folder for path in paths.difference(*found.values()) for folder in PurePosixPath(path).parents}
    for folder in sorted(folder for folder in folders if (root / folder / FILES).is_file()):
        try:
            entries = read(root / folder)
        except ConfigError:
            entries = ()
        names = {str(folder / name) for entry in entries for name in (*entry.files, FILES)}
        found[f"{folder}: written by turnout, as {FILES} in it says"] = names & paths
    found.update({f"{path}: an observer's file": {path} for path in sorted(places.files & paths)})
    return {line: members for line, members in found.items() if members}


def _served(places: Iterable[str], paths: set[str]) -> set[str]:
    """The folders, one below these places, of endpoints that are served."""
    return {folder for path in paths if path.endswith("/wanted.json") and _folder(folder := _folder(path)) in {*places}}


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _below(folder: str, paths: set[str], pattern: re.Pattern[str]) -> Iterator[str]:
    prefix = "" if folder == "." else f"{folder}/"
    return (path for path in paths if path.startswith(prefix) and pattern.match(path, len(prefix)))
