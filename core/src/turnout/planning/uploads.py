"""Local files and folders that a plan or a submission refers to: by the digest of their content."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from turnout.artifacts.artifacts import Artifacts
from turnout.artifacts.saving import ContentKind, path_artifact
from turnout.base.errors import Location, PlanError
from turnout.materializers.paths import own_name
from turnout.project.project import Project
from turnout.project.sources import FILE_LIMIT
from turnout.stores import claims


class Uploads:
    """Collects files by digest while planning; :meth:`send` puts them into a store."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._paths: dict[str, tuple[Path, ContentKind, str]] = {}

    def add(self, path: str, kind: ContentKind, what: str, where: Location | None = None) -> dict[str, Any]:
        """The canonical value that stands for a local file or folder.

        Args:
            path: absolute, or relative to the project's root.
            kind: ``file`` or ``folder``.
            what: what refers to it, for the error.

        Raises:
            PlanError: when there is no such file or folder.
        """
        resolved = (self.project.root / Path(path).expanduser()).resolve()
        if not (resolved.is_dir() if kind == "folder" else resolved.is_file()):
            raise PlanError(
                f"{what} is {path!r}, and there is no such {kind}",
                where=where,
                why=f"looked for {resolved}",
                fix=f"correct the path; a relative one starts from the project's root {self.project.root}",
            )
        suffix = resolved.suffix if kind == "file" else ""
        digest = path_artifact(resolved, kind).digest
        self._paths[digest] = (resolved, kind, suffix)
        name = own_name(resolved)
        return {"digest": digest, "suffix": suffix} | ({"name": name} if name else {})

    @property
    def paths(self) -> tuple[str, ...]:
        """The files and folders, relative to the project's root where they lie in it."""
        root = self.project.root.resolve()
        found = (path for path, _, _ in self._paths.values())
        return tuple(sorted(str(path.relative_to(root) if path.is_relative_to(root) else path) for path in found))

    def data(self, given: Iterable[Any], named: Collection[str]) -> set[str]:
        """The paths of those that lie in the project and are no code: neither modules, nor *named*.

        A folder that holds modules is not among them: it may hold what these read. Of what a run is *given*, each a
        path or several, only what is too large for a code package is: the package is the same for all runs.
        """
        root = self.project.root.resolve()
        paths = [path for path, _, _ in self._paths.values()]
        several = [one for value in given for one in (value if isinstance(value, (list, tuple)) else [value])]
        large = [(Path.cwd() / Path(one)).resolve() for one in several if isinstance(one, (str, os.PathLike))]
        paths_of_data: set[str] = set()
        for path, limit in (*((path, 0) for path in paths), *((path, FILE_LIMIT) for path in large)):
            files = [path] if path.is_file() else path.rglob("*") if path.is_relative_to(root) else []
            files = [file for file in files if file.is_file() and file.is_relative_to(root)]
            if not any(file.suffix == ".py" for file in files):
                paths_of_data.update(
                    file.relative_to(root).as_posix() for file in files if file.stat().st_size >= limit
                )
        return paths_of_data.difference(named)

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._paths)

    def send(self, artifacts: Artifacts) -> None:
        """Create every file's artifact in the store, unless it is there."""
        for digest, (path, kind, suffix) in self._paths.items():
            claims.claim(artifacts.blobs.store, digest, claims.HELD)
            artifacts.save_path(path, kind, suffix)
