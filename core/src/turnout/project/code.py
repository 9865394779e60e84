"""The code package: the project's own files as one archive, the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from turnout.base import canonical
from turnout.base.errors import PlanError
from turnout.project import git
from turnout.project.archive import Member, pack
from turnout.project.project import Project
from turnout.project.sources import SourceFile, collect
from turnout.project.unpacking import value_path
from turnout.project.written import Places


class CodePackage(msgspec.Struct, frozen=True):
    """A code package: ``digest`` is the SHA-256 of ``data``, an uncompressed zip archive.

    ``files`` are its paths, ``untracked`` those of them that git does not track, ``notes`` say what cannot travel and
    why, ``left_out`` what is no code; ``revision`` is the commit the files come from, None outside a repository.
    """

    digest: str
    data: bytes
    files: tuple[str, ...]
    untracked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    revision: git.Revision | None = None


def build(
    project: Project,
    values: Mapping[str, bytes] | None = None,
    places: Places | None = None,
    data: Collection[str] = (),
) -> CodePackage:
    """Pack the project's files, and pickles of functions by value under their digests.

    Args:
        places: as for :func:`turnout.project.sources.collect`.
        data: likewise.

    Raises:
        PlanError: when the files are too large or change while they are read.
    """
    sources = collect(project, places, data)
    members = [Member(file.path, _read(file), file.executable) for file in sources.files]
    packed = pack([*members, *(Member(value_path(digest), pickled) for digest, pickled in (values or {}).items())])
    revision = None
    if sources.tracked_by_git:
        revision = git.revision(project.root, untracked=bool(sources.untracked), besides=sources.not_code)
    return CodePackage(
        digest=canonical.digest(packed),
        data=packed,
        files=tuple(file.path for file in sources.files),
        untracked=sources.untracked,
        notes=sources.notes,
        left_out=sources.left_out,
        revision=revision,
    )


def _read(file: SourceFile) -> bytes:
    try:
        return file.source.read_bytes()
    except OSError as error:
        raise PlanError(
            f"{file.path} cannot be read: {error.strerror or error}",
            fix="mend its permissions, or add it to [tool.turnout.code] exclude",
        ) from error
