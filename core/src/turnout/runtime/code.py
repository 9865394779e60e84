"""The project's code on a worker: unpacked from its package, and imported from there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical, context
from turnout.base.errors import ArtifactError, PlanError
from turnout.components.artifact_store import ArtifactStore
from turnout.fingerprint.fingerprint import Fingerprints
from turnout.model.plan import Code as CodeRef
from turnout.model.spec import Entrypoint
from turnout.project import unpacking
from turnout.project.project import CodeSettings, Project, Settings, load
from turnout.runtime import unpacked_modules
from turnout.stores import layout


class Code:
    """A code package in a folder of this machine, its import roots on ``sys.path``.

    Args:
        cache: the folder that packages are unpacked in.
        first: whether its import roots come first. In a user's own process they come last: there the project's
            own files count, and the package has what these do not.
    """

    def __init__(self, reference: CodeRef, store: ArtifactStore[Any], cache: Path, *, first: bool = True) -> None:
        self.reference = reference
        self.store = store
        self.cache = cache
        self.first = first
        self.imported_from: tuple[Path, ...] = ()
        """The unpacked package, once its import roots are on ``sys.path``: as it is called, and where it lies."""

    @cached_property
    def folder(self) -> Path:
        """The unpacked package; its import roots are put on ``sys.path``."""
        folder = self.unpacked
        roots = [str((folder / root).resolve()) for root in self.reference.roots]
        others = [path for path in sys.path if path not in roots]
        sys.path[:] = [*roots, *others] if self.first else [*others, *roots]
        importlib.invalidate_caches()
        self.imported_from = (folder, folder.resolve())
        return folder

    @cached_property
    def unpacked(self) -> Path:
        """The unpacked package, from which nothing is imported yet."""
        folder = unpacking.ensure(self.reference.digest, self._read, self.cache / "code")
        unpacked_modules.add(folder, self.cache / "bytecode")
        return folder

    def _read(self) -> bytes:
        data = self.store.read(layout.code(self.reference.digest))
        if data is None:
            raise ArtifactError(
                f"the code package {self.reference.digest[:12]} is not in {self.store.address}",
                fix="publish the pipeline again",
            )
        return data

    def load(self, entrypoint: Entrypoint) -> Callable[..., Any]:
        """The function of an entrypoint.

        Raises:
            PlanError: when the module cannot be imported or has no such function.
        """
        if entrypoint.value is not None:
            import pickle

            data = (self.folder / unpacking.value_path(entrypoint.value)).read_bytes()
            if canonical.digest(data) != entrypoint.value:
                raise PlanError(
                    f"{entrypoint.qualname}, a function by value, is not what the plan says",
                    why="its file in the code package was changed",
                    fix="start the run again",
                )
            return pickle.loads(data)  # type: ignore[no-any-return]  # noqa: S301
        found = self._find(entrypoint.module, entrypoint.qualname)
        return getattr(found, "function", found)  # type: ignore[no-any-return]

    @cached_property
    def prints(self) -> Fingerprints:
        """Fingerprints of what lies in the package."""
        settings = Settings(code=CodeSettings(roots=self.reference.roots))
        return Fingerprints(Project(root=self.unpacked.resolve(), name="", settings=settings))

    def has_module(self, module: str) -> bool:
        """Whether a module is the project's own: whether the package has a file for its top-level name."""
        top = module.partition(".")[0]
        places = [self.unpacked / root / top for root in self.reference.roots]
        return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)

    def load_class(self, name: str) -> type[Any]:
        """A class of the project by ``module:qualname``."""
        module, _, qualname = name.partition(":")
        return self._find(module, qualname)  # type: ignore[no-any-return]

    def _find(self, module: str, qualname: str) -> Any:
        if not module.startswith("turnout."):
            _ = self.folder
        try:
            with context.importing():
                found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise PlanError(
                f"the code package has no module {module}",
                why=f"the package's import roots are {', '.join(self.reference.roots)}",
                fix="plan the pipeline again; see that the module is not ignored by git or [tool.turnout.code]",
            ) from None
        try:
            for part in qualname.split("."):
                found = getattr(found, part)
        except AttributeError:
            raise PlanError(
                f"{module} has no {qualname}",
                why=f"it was imported from {getattr(sys.modules[module], '__file__', 'nowhere')}",
                fix="plan the pipeline again: its code has changed",
            ) from None
        return found


class WorkTree(Code):
    """The code of a project as it lies in its folder now, in place of a run's package: for replays."""

    def __init__(self, reference: CodeRef, project: Path) -> None:
        self.reference = msgspec.structs.replace(reference, roots=load(project).import_roots)
        self.project = project
        self.first = True
        self.imported_from = ()

    @cached_property
    def unpacked(self) -> Path:
        """The project's folder."""
        return self.project

    def load(self, entrypoint: Entrypoint) -> Callable[..., Any]:
        """The function of an entrypoint, of today.

        Raises:
            PlanError: when it was defined in a notebook and is in no file, or is not there any more.
        """
        if entrypoint.value is not None:
            raise PlanError(
                f"{entrypoint.qualname} was defined in a notebook, so it is in no file of the project",
                fix="replay it with the run's own code",
            )
        return super().load(entrypoint)
