"""Files and folders: what counts is their content."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from turnout.components.materializer import Materializer
from turnout.errors import ArtifactError
from turnout.files import File, Folder
from turnout.materializers.classes import name_of
from turnout.packaging.written import FILES
from turnout.spec.types import ANY, TypeName

FILE = "turnout.files:File"
FOLDER = "turnout.files:Folder"
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,12})?\.(gz|bz2|xz|zst|lz4)\Z|\.[A-Za-z0-9]{1,16}\Z")


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
