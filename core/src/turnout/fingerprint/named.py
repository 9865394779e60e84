"""The project's files by the names that its code may call them by: as modules, wherever they lie, and as files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from turnout.project import sources
from turnout.project.project import Project
from turnout.project.written import Places

_PATTERN = re.compile(r"[*?\[]")


class Named:
    """The files of a project, listed once, when they are first asked for."""

    def __init__(self, project: Project, places: Places | None = None) -> None:
        self.project = project
        self.places = places
        self._elsewhere: dict[str, tuple[str, ...]] = {}

    @cached_property
    def modules(self) -> dict[str, str]:
        """The path of each Python file by the name of its module; by the path itself where it cannot be imported."""
        found: dict[str, str] = {}
        for path in self._paths:
            if path.endswith(".py"):
                found.setdefault(self.project.module_of(self.project.root / path) or path, path)
        return found

    def files(self, name: str) -> Iterator[str]:
        """The paths of the files with a name, or one that a pattern such as ``*.sql`` matches."""
        if not _PATTERN.search(name):
            yield from self._by_name.get(name, ())
            return
        for one, paths in self._by_name.items():
            if fnmatchcase(one, name):
                yield from paths

    def elsewhere(self, top: str) -> tuple[str, ...]:
        """The modules that ``import top`` may mean though no import root has it: their folder is put on ``sys.path``.

        None where another package of that name is installed.
        """
        if top not in self._elsewhere:
            known = top in sys.stdlib_module_names or self._is_installed(top)
            paths = {} if known else self.modules
            self._elsewhere[top] = tuple(
                name for name, path in paths.items() if f"/{top}/" in f"/{path.removesuffix('.py')}/"
            )
        return self._elsewhere[top]

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return sources.names(self.project, self.places)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found

    def _is_installed(self, top: str) -> bool:
        try:
            spec = find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return False
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        return any(place and not self._is_own(place) for place in places)

    def _is_own(self, place: str) -> bool:
        path = Path(place).resolve()
        return path.is_relative_to(self.project.root) and "site-packages" not in path.parts
