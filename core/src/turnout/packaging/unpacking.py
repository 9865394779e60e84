"""A code package on a worker: unpacked once a machine, whole or not at all."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from turnout import canonical
from turnout.errors import ArtifactError

if TYPE_CHECKING:
    import zipfile

VALUES = ".turnout-values"
"""The folder of a code package that holds functions by value; a project cannot have one of its own."""
_STORED = 0  # what zipfile calls ZIP_STORED
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FIX = "the package is damaged or not turnout's: publish or submit the pipeline again"


def value_path(digest: str) -> str:
    """Where in a code package the pickle of a function by value lies."""
    return f"{VALUES}/{digest}.pkl"


def ensure(digest: str, read: Callable[[], bytes], cache: Path) -> Path:
    """The folder under *cache* that holds the unpacked package; *read* fetches its bytes where it is not there yet.

    Any number of processes may ask at once: the folder appears whole, under its digest, or not at all.

    Raises:
        ArtifactError: when the bytes do not have this digest or are not a package.
    """
    if not _DIGEST.match(digest):
        raise ArtifactError(f"{digest!r} is not the digest of a code package", fix=_FIX)
    folder = cache / digest
    if folder.is_dir():
        return folder
    data = read()
    found = canonical.digest(data)
    if found != digest:
        raise ArtifactError(f"the code package {digest[:12]} has the content of {found[:12]}", fix=_FIX)
    extract(data, folder)
    return folder


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
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        ValueError,
        FileExistsError,
        NotADirectoryError,
    ) as error:
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
    if entry.compress_type != _STORED:
        return "it is compressed"
    return None
