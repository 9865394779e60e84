"""A code package on a worker: unpacked once a machine, whole or not at all."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.project.archive import VALUES, Member, pack

if TYPE_CHECKING:
    import zipfile

_STORED = 0  # what zipfile calls ZIP_STORED
_ENCRYPTED = 0x1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FIX = "the package is damaged or not turnout's: publish or submit the pipeline again"


def value_path(digest: str) -> str:
    """Where in a code package the pickle of a function by value lies."""
    return f"{VALUES}/{digest}.pkl"


def ensure(digest: str, read: Callable[[], bytes], cache: Path) -> Path:
    """The folder under *cache* that holds the unpacked package; *read* fetches its bytes where it is not there yet.

    Any number of processes may ask at once: the folder appears whole, under its digest, or not at all. It is read-only,
    and what was changed in it all the same (root may) is thrown away: the folder holds what the digest says.

    Raises:
        ArtifactError: when the bytes do not have this digest or are not a package, or a folder that was changed
            cannot be removed.
    """
    if not _DIGEST.match(digest):
        raise ArtifactError(f"{digest!r} is not the digest of a code package", fix=_FIX)
    folder = cache / digest
    if os.path.lexists(folder):
        if _digest(folder) == digest:
            return folder
        print(f"turnout: the code in {folder} was changed after it was unpacked: it is unpacked anew", file=sys.stderr)
        _discard(folder)
    data = read()
    found = canonical.digest(data)
    if found != digest:
        raise ArtifactError(f"the code package {digest[:12]} has the content of {found[:12]}", fix=_FIX)
    extract(data, folder)
    _protect(folder)
    return folder


def _digest(folder: Path) -> str | None:
    """The digest of the package that a folder holds; None where it holds what no package does."""
    try:
        return canonical.digest(pack(_members(folder, "")))
    except (OSError, _Stranger):
        return None


class _Stranger(Exception):
    """Something that no package has: a link, a pipe."""


def _members(folder: Path, prefix: str) -> Iterator[Member]:
    """The files in a folder, without bytecode: a child of a step that root runs has left it, and nobody reads it."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise _Stranger
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name == "__pycache__":
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    yield from _members(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as stream:  # noqa: PTH123 -- a path made of it costs as much as reading it
                    mode = os.fstat(stream.fileno()).st_mode
                    yield Member(prefix + entry.name, stream.read(), bool(mode & stat.S_IXUSR))
            else:
                raise _Stranger


def _protect(folder: Path) -> None:
    """Take the permission to write from everyone, so that a step which writes beside its module is told."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(path, name)
            file.chmod(file.stat().st_mode & 0o555)
        Path(path).chmod(0o555)


def _discard(folder: Path) -> None:
    """Remove a folder at once, then what was in it."""
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
            return
        with tempfile.TemporaryDirectory(prefix=".changed.", dir=folder.parent) as aside:
            folder.chmod(0o700)
            moved = folder.rename(Path(aside, "code"))
            for path, folders, _ in os.walk(moved):
                for name in folders:
                    if not Path(path, name).is_symlink():
                        Path(path, name).chmod(0o700)
    except FileNotFoundError:
        return  # another process was faster
    except OSError as error:
        raise ArtifactError(
            f"the code in {folder} was changed after it was unpacked, and cannot be removed: {error.strerror}",
            fix="remove the folder, or let TURNOUT_CACHE name one of your own",
        ) from error


def extract(data: bytes, folder: Path) -> None:
    """Unpack a package as *folder*, atomically; a folder that is there already is left as it is.

    Raises:
        ArtifactError: when an entry would leave the folder, is a link, is compressed, or the archive is damaged.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:12]}.", dir=folder.parent))
    try:
        _unpack(data, temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(data: bytes, folder: Path) -> None:
    import zipfile  # most workers find the package unpacked

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            seen: set[str] = set()
            for entry in archive.infolist():
                if reason := _problem(entry, seen):
                    raise ArtifactError(f"a code package holds {entry.filename!r}: {reason}", fix=_FIX)
                seen.add(entry.filename)
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
                target.chmod(0o755 if entry.external_attr >> 16 & stat.S_IXUSR else 0o644)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ArtifactError(f"a code package cannot be unpacked: {error}", fix=_FIX) from error


def _problem(entry: zipfile.ZipInfo, seen: set[str]) -> str | None:
    """Why an entry is refused. Stored entries alone are taken, so that an archive cannot unpack to more than it is."""
    name = entry.filename
    if not name or name.startswith("/") or any(part in {"", ".", ".."} for part in name.split("/")):
        return "its path would leave the folder"
    if os.sep != "/" and (os.sep in name or ":" in name):
        return "its path would leave the folder"
    if name in seen:
        return "it is there twice"
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "it is not a regular file"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type != _STORED:
        return "it is compressed"
    return None
