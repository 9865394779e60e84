"""Files and folders: what counts is their content. A path to a file that goes with its step is no value."""

from __future__ import annotations

import mmap
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer
from turnout.files import File, Folder
from turnout.materializers import places
from turnout.materializers.classes import name_of
from turnout.model.types import ANY, TypeName
from turnout.project.written import FILES

FILE = "turnout.files:File"
FOLDER = "turnout.files:Folder"
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,12})?\.(gz|bz2|xz|zst|lz4)\Z|\.[A-Za-z0-9]{1,16}\Z")
_FILES = 1000
"""How many names of files in the step's folder are looked for in a pickle."""
_BYTES = (b'"$bytes"', b'"$bytearray"')
"""The tags of plain forms whose content is encoded."""
FIRST = 10
"""How many texts of a column or array that look like paths of the step's files are looked up."""
_NAME = 200
"""The characters of the longest name of a file that is kept."""
_LONGEST = 4096
"""The length of the longest path."""
_temporary: ContextVar[Path | None] = ContextVar("temporary", default=None)


@contextmanager
def temporary(folder: Path) -> Iterator[None]:
    """While it lasts, *folder* is the one that is removed when the process ends: a step's own files and inputs."""
    token = _temporary.set(Path(os.path.realpath(folder)))
    try:
        yield
    finally:
        _temporary.reset(token)


def is_temporary(path: str | os.PathLike[str]) -> bool:
    """Whether something lies there now that will be gone when the step has ended."""
    folder = _temporary.get()
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(folder) and Path(path).exists()


def folder_of_step() -> bytes | None:
    """The folder whose files' paths are no values, as a path begins with it; None where there is none."""
    folder = _temporary.get()
    return None if folder is None else os.fsencode(folder) + os.fsencode(os.sep)


def refuse_texts(value: Any, data: bytes) -> None:
    """Refuse a value with a text, or bytes, that are the path of a temporary file.

    Args:
        data: the value as it was written; bytes may be encoded in it.

    Raises:
        ArtifactError: naming the place in the value.
    """
    folder = folder_of_step()
    if folder is None or not (folder in data or any(tag in data for tag in _BYTES)):
        return
    if found := places.search(value, _is_text_of_file):
        raise ArtifactError(
            f"{found[0].removeprefix(': ') or 'it'} is the path of a file of this step, as "
            + ("a text" if isinstance(found[1], str) else "bytes"),
            why="the file is removed when the step has ended: only the content of a File or Path travels",
            fix="return File(path) there",
        )


def _is_text_of_file(item: Any) -> bool:
    """Whether it is the path of a temporary file or folder, but for the folder that the step is in."""
    folder = folder_of_step()
    if type(item) not in (str, bytes, bytearray) or folder is None or len(item) > _LONGEST:
        return False
    path = item if isinstance(item, str) else os.fsdecode(bytes(item))
    if not path.startswith(os.fsdecode(folder)) or "\0" in path:
        return False
    return is_temporary(path) and not Path.cwd().is_relative_to(os.path.realpath(path))


def path_in_pickle(path: Path) -> str | None:
    """A path to a temporary file that a pickle holds: an absolute one anywhere, or the relative name of one, whole."""
    folder = _temporary.get()
    if folder is None:
        return None
    patterns = [rb"(?P<absolute>" + re.escape(os.fsencode(folder)) + rb"/[^\x00-\x1f]{0,4096})"]
    if is_temporary(Path.cwd()):
        names = (os.fsencode(name) for name, _ in islice(walk(Path.cwd()), _FILES))
        patterns += [rb"\x8c" + re.escape(bytes([len(name)]) + name) for name in names if len(name) < 256]
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for found in re.finditer(b"|".join(patterns), data):
            if found["absolute"] is None:
                return os.fsdecode(found[0][2:])
            text = found["absolute"].decode(errors="replace").partition("\ufffd")[0]
            ends = [end.start() for end in re.finditer(r"[^\w./-]|\Z", text)]
            if kept := next((text[:end] for end in reversed(ends) if _is_text_of_file(text[:end])), None):
                return kept
    return None


class FileContent(Materializer):
    """A file, by its path; it is kept under a neutral name with its suffix."""

    name = "file"
    types = (FILE,)

    def save(self, value: str | os.PathLike[str], folder: Path) -> None:
        path = _given(value)
        if not path.is_file():
            raise _missing(path, "file")
        shutil.copyfile(path, folder / f"file{suffix_of(path.name)}")

    def load(self, folder: Path, wanted: TypeName = ANY) -> File:
        return File(next(path for path in folder.iterdir()))


class FolderContent(Materializer):
    """A folder with all it holds; links are followed, permissions are not kept."""

    name = "folder"
    types = (FOLDER,)

    def save(self, value: str | os.PathLike[str], folder: Path) -> None:
        path = _given(value)
        if not path.is_dir():
            raise _missing(path, "folder")
        for name, source in walk(path, follow=True):
            target = folder / name
            if name.endswith("/"):
                target.mkdir(parents=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def load(self, folder: Path, wanted: TypeName = ANY) -> Folder:
        return Folder(folder)


def own_name(path: str | os.PathLike[str]) -> str:
    """What a file or folder is called, as it may stand in documents and be a name elsewhere; else empty."""
    name = Path(os.fsdecode(path)).name
    return name if is_name(name) else ""


def is_name(name: str) -> bool:
    """Whether a text can be the name of a file in whatever folder, and not lead out of it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name) and name not in {".", ".."} and not any(mark in name for mark in "/\\\0") and len(name) <= _NAME


def suffix_of(name: str) -> str:
    """The suffix a neutral name keeps: ``.parquet``, ``.csv.gz``, or nothing where it is not a plain word."""
    found = _SUFFIX.search(name)
    return found.group() if found and found.start() > 0 else ""


def walk(folder: Path, *, follow: bool = False) -> Iterator[tuple[str, Path]]:
    """The files in a folder and below, in order of their names: relative path and place; empty folders end with ``/``.

    Args:
        follow: whether links stand for what they lead to; else they are refused.

    Raises:
        ArtifactError: for what is neither a file nor a folder, and for a link that leads back to where it lies.
    """
    yield from _walk(folder, "", follow, frozenset([folder.resolve()]))


def _walk(folder: Path, prefix: str, follow: bool, above: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as scanned:
        found = sorted(scanned, key=lambda entry: entry.name)
    if not found and prefix:
        yield prefix, folder
    for entry in found:
        path = Path(entry.path)
        if not prefix and entry.name == FILES:  # it names what lies beside it, and is no content
            continue
        if entry.is_dir(follow_symlinks=follow):
            real = path.resolve()
            if real in above:
                raise ArtifactError(
                    f"the link {prefix}{entry.name} leads back to a folder it lies in", fix="remove the link"
                )
            yield from _walk(path, f"{prefix}{entry.name}/", follow, above | {real})
        elif entry.is_file(follow_symlinks=follow):
            yield f"{prefix}{entry.name}", path
        else:
            raise ArtifactError(
                f"{prefix}{entry.name} is neither a file nor a folder",
                why="a link to nothing, a pipe or a device has no content",
                fix="remove it from the folder",
            )


def _given(value: object) -> Path:
    if isinstance(value, (str, os.PathLike)):
        return Path(os.fsdecode(value))
    raise ArtifactError(
        f"a path was expected, not a value of {name_of(type(value))}",
        fix="return the path of the file or folder that the step wrote",
    )


def _missing(path: Path, kind: str) -> ArtifactError:
    return ArtifactError(
        f"there is no {kind} {path}",
        why=f"its content is the value: the path alone says nothing on another machine{_found(path)}",
        fix=f"write the {kind} before its path is used, or hand the path on as a str",
    )


def _found(path: Path) -> str:
    return "; it is a folder" if path.is_dir() else "; it is a file" if path.is_file() else ""
