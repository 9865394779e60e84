"""Definitions are read again when files have changed: a notebook or shell keeps what it imported, a worker does not."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from turnout.base import context
from turnout.base.errors import DefinitionError, TurnoutError
from turnout.definition import places

if TYPE_CHECKING:
    from turnout.definition.pipeline import PipelineDefinition
    from turnout.project.project import Project

_NOT_PROJECTS = (str(Path(importlib.__file__).parents[1]), str(Path(__file__).parents[1]))
_seen: dict[str, tuple[Any, int]] = {}
"""The modules of projects: by name what marks that import of it, and when its file was changed then."""
_left: set[str] = set()
"""Modules that were not read again with others of their project, for nothing that was run needed them."""


def note() -> None:
    """Remember when the files of the modules that are imported by now were changed."""
    if context.in_worker():
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith(_NOT_PROJECTS) and "site-packages" not in file:
            mark = module.__spec__ or module
            if _seen.get(name, (None, 0))[0] is not mark:
                _seen[name] = mark, _changed_at(file)


def refresh(definition: PipelineDefinition, project: Project) -> None:
    """Let a definition be what its files say now.

    Where the files of the project have changed since they were imported, its modules are imported again. A definition
    that is in no file cannot be read again: a warning tells the difference.

    Raises:
        DefinitionError: when its module cannot be read any more, or does not have it any more.
    """
    note()
    changed = _changed(project)
    file = Path(definition.function.__code__.co_filename)
    name = project.module_of(file) if file.is_file() else None
    if name is None or "<locals>" in definition.__qualname__:
        if changed:
            _warn(definition, project, changed)
        return
    if changed or name in _left:
        _import_again(project, name, changed)
    module = sys.modules.get(name)
    if module is None or module.__spec__ is definition.origin:
        return
    definition.adopt(_find(definition, module, project.relative(file)))


def _changed(project: Project) -> dict[str, str]:
    """The files of the project's modules that have changed since these were imported, by the modules' names."""
    changed = {}
    for name, (mark, then) in list(_seen.items()):
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if module is None or not file or (module.__spec__ or module) is not mark:
            continue
        if Path(file).is_relative_to(project.root) and _changed_at(file) not in (then, 0):
            changed[name] = file
    return changed


def _changed_at(file: str) -> int:
    try:
        return Path(file).stat().st_ctime_ns
    except OSError:
        return 0


def _import_again(project: Project, name: str, changed: dict[str, str]) -> None:
    """Import a module of the project, and with it all of the project that it needs, as the files are now."""
    project.on_path()
    own = {key: module for key, module in sys.modules.items() if _is_own(project, key, module)}
    for file in changed.values():  # bytecode is told by the second and the size: of a quick edit it would be the old
        with suppress(OSError, ValueError, NotImplementedError):
            Path(importlib.util.cache_from_source(file)).unlink()
    before = {key: dict(vars(module)) for key, module in own.items()}
    for key, module in own.items():
        vars(module).clear()
        del sys.modules[key]
    finder = _Again(own)
    sys.meta_path.insert(0, finder)
    importlib.invalidate_caches()
    try:
        with context.importing():
            importlib.import_module(name)
    except BaseException as error:
        for key, module in own.items():
            vars(module).clear()
            vars(module).update(before[key])
        sys.modules.update(own)
        if isinstance(error, TurnoutError) or not isinstance(error, (Exception, SystemExit)):
            raise
        raise DefinitionError(
            f"{name} has changed and cannot be imported again: {type(error).__name__}: {error}",
            fix="mend the module",
        ) from error
    finally:
        sys.meta_path.remove(finder)
    left = own.keys() - sys.modules.keys()
    for key in left:
        vars(own[key]).update(before[key])
        sys.modules[key] = own[key]
    _left.difference_update(own)
    _left.update(left)
    for key in changed:
        _seen.pop(key, None)
    note()


class _Again:
    """Imports modules into the objects that they were: who has one of them has it as it is now."""

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        module = self._modules.get(name)
        spec = PathFinder.find_spec(name, path, target) if module is not None else None
        if spec is not None and spec.loader is not None:
            vars(spec.loader)["create_module"] = lambda _spec: module
        return spec


def _is_own(project: Project, name: str, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if (
        not isinstance(file, str)
        or not file.endswith(".py")
        or "site-packages" in file
        or not Path(file).is_relative_to(project.root)
    ):
        return False
    return project.module_of(Path(file)) == name


def _find(definition: PipelineDefinition, module: ModuleType, file: str) -> PipelineDefinition:
    for value in vars(module).values():
        if isinstance(value, type(definition)) and value.function.__qualname__ == definition.__qualname__:
            return value
    raise DefinitionError(
        f"{file} has no pipeline {definition.__name__!r} any more",
        why="the file has changed since it was imported",
        fix="import what it has now",
    )


def _warn(definition: PipelineDefinition, project: Project, changed: dict[str, str]) -> None:
    files = ", ".join(sorted(project.relative(Path(file)) for file in changed.values()))
    warnings.warn_explicit(
        f"{files} changed after the import: steps run as the files are now, but the pipeline {definition.name!r}, "
        "which is in no file, was put together before. Restart, or import the modules and run its cell again",
        UserWarning,
        *places.caller(),
    )
