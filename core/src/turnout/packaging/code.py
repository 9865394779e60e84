"""The code package: the project's own files as one archive, the same bytes on every machine."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from turnout import canonical
from turnout.errors import ArtifactError, PlanError
from turnout.packaging import git
from turnout.packaging.project import Project
from turnout.packaging.sources import VALUES, SourceFile, collect

_EPOCH = (1980, 1, 1, 0, 0, 0)
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FIX = "the package is damaged or not turnout's: publish or submit the pipeline again"


class CodePackage(NamedTuple):
    """A code package: ``digest`` is the SHA-256 of ``data``, an uncompressed zip archive.

    ``files`` are its paths, ``untracked`` those of them that git does not track, ``notes`` say what was left out and
    why; ``revision`` is the commit the files come from, None outside a repository.
    """

    digest: str
    data: bytes
    files: tuple[str, ...]
    untracked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revision: git.Revision | None = None


def value_path(digest: str) -> str:
    """Where in a code package the pickle of a function by value lies."""
    return f"{VALUES}/{digest}.pkl"


def build(project: Project, values: Mapping[str, bytes] | None = None) -> CodePackage:
    """Pack the project's files, and pickles of functions by value under their digests.

    The bytes depend on paths, contents and the permission to run alone: entries are sorted, stored uncompressed
    (compressors differ) and carry one fixed time.

    Raises:
        PlanError: when the files are too large or change while they are read.
    """
    sources = collect(project)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sources.files:
            archive.writestr(_entry(file.path, executable=file.executable), _read(file))
        for digest, data in sorted((values or {}).items()):
            archive.writestr(_entry(value_path(digest), executable=False), data)
    data = buffer.getvalue()
    revision = git.revision(project.root, untracked=bool(sources.untracked)) if sources.tracked_by_git else None
    return CodePackage(
        digest=canonical.digest(data),
        data=data,
        files=tuple(file.path for file in sources.files),
        untracked=sources.untracked,
        notes=sources.notes,
        revision=revision,
    )


def _entry(path: str, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return entry


def _read(file: SourceFile) -> bytes:
    try:
        return file.source.read_bytes()
    except OSError as error:
        raise PlanError(
            f"{file.path} cannot be read: {error.strerror or error}",
            fix="mend its permissions, or add it to [tool.turnout.code] exclude",
        ) from error


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
    if entry.compress_type != zipfile.ZIP_STORED:
        return "it is compressed"
    return None
