"""The code package: the project's own files as one archive, the same bytes on every machine."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping

import msgspec

from turnout import canonical
from turnout.errors import PlanError
from turnout.packaging import git
from turnout.packaging.project import Project
from turnout.packaging.sources import SourceFile, collect
from turnout.packaging.unpacking import value_path

_EPOCH = (1980, 1, 1, 0, 0, 0)


class CodePackage(msgspec.Struct, frozen=True):
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
