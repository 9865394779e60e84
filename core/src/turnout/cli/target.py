"""Finding the pipeline or the endpoint that a command names."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from turnout.api.pipeline import Pipeline
from turnout.base import context
from turnout.base.errors import ConfigError, DefinitionError, Location, TurnoutError, did_you_mean
from turnout.definition.places import written
from turnout.project.project import Project, load, root_of
from turnout.project.sources import names

if TYPE_CHECKING:
    from turnout.api.endpoint import Endpoint


def find_pipeline(target: str) -> Pipeline:
    """The pipeline ``module:name`` or ``path.py:name``, traced; the name may be left out where there is one.

    Raises:
        ConfigError: when there is no such file, module or pipeline, or more than one to choose from.
        DefinitionError: when it is defined wrongly, or its function fails.
    """
    found = _choose(target, Pipeline, "pipeline")
    try:
        found.trace()
    except TurnoutError:
        raise
    except (Exception, SystemExit) as error:
        file = Path(written(found.function).__code__.co_filename)
        raise DefinitionError(
            f"the pipeline {found.name!r} cannot be defined: {type(error).__name__}: {error}",
            where=_raised_at(error, load(root_of(file))),
            why="its function is called to see which steps there are",
            fix="mend the function; what only a run can do belongs in a step",
        ) from error
    return found


def find_endpoint(target: str) -> Endpoint:
    """The endpoint ``module:name`` or ``path.py:name``; the name may be left out where there is one.

    Raises:
        ConfigError: when there is no such file, module or endpoint, or more than one to choose from.
    """
    from turnout.api.endpoint import Endpoint  # with all that serving needs: a command for a pipeline does without

    return _choose(target, Endpoint, "endpoint")


def find_defined(target: str) -> Pipeline | Endpoint:
    """The pipeline or the endpoint; where the name is left out, the pipeline if there is any.

    Raises:
        ConfigError, DefinitionError: as :func:`find_pipeline` and :func:`find_endpoint`.
    """
    return find_endpoint(target) if _is_endpoint(target) else find_pipeline(target)


def _is_endpoint(target: str) -> bool:
    from turnout.api.endpoint import Endpoint

    place, _, name = target.partition(":")
    defined = vars(_module(place))
    if name:
        return isinstance(defined.get(name), Endpoint)
    kinds = {type(value) for value in defined.values() if isinstance(value, (Pipeline, Endpoint))}
    return bool(kinds) and not any(issubclass(kind, Pipeline) for kind in kinds)


def _name_one(folder: Path, kind: str) -> str:
    """What to type where a folder is given: the files in it that define such a thing."""
    decorated = re.compile(rf"^@(\w+\.)?{kind}\b", re.MULTILINE)
    files = [path for path in sorted(folder.glob("*.py")) if path.is_file() and decorated.search(_text(path))]
    shown = [path.as_posix() for path in files[:3]]
    return f"name the file: {' or '.join(shown)}" if shown else f"name a file with a {kind}: path.py:name"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


DefinedT = TypeVar("DefinedT", Pipeline, "Endpoint")


def _choose(target: str, cls: type[DefinedT], kind: str) -> DefinedT:
    place, _, name = target.partition(":")
    module = _module(place, kind)
    defined = {key: value for key, value in vars(module).items() if isinstance(value, cls)}
    if not name:
        own = {key: value for key, value in defined.items() if value.function.__module__ == module.__name__} or defined
        if len(own) == 1:
            return next(iter(own.values()))
        if not own:
            raise ConfigError(f"{place} defines no {kind}", fix=f"decorate a function with @{kind}")
        raise ConfigError(f"{place} defines {len(own)} {kind}s", fix=f"name one: {place}:{next(iter(own))}")
    if name not in defined:
        raise ConfigError(
            f"{place} has no {kind} {name!r}. {did_you_mean(name, defined)}".rstrip(" ."),
            fix=f"its {kind}s are: {', '.join(defined) or 'none'}",
        )
    return defined[name]


def _module(place: str, kind: str = "pipeline") -> ModuleType:
    if not place or Path(place).is_dir() or place.endswith(("/", os.sep)):
        raise ConfigError(f"{place or '.'!r} is no {kind}, but a folder", fix=_name_one(Path(place or "."), kind))
    return _load_file(Path(place)) if place.endswith(".py") else _load_module(place)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        others = [] if not path.parent.is_dir() else [one.name for one in path.parent.glob("*.py")]
        raise ConfigError(
            f"there is no file {str(path)!r}. {did_you_mean(path.name, others)}".rstrip(" ."),
            fix="give the path of a Python file, or module:name",
        )
    project = load(root_of(path))
    project.on_path()
    name = project.module_of(path)
    if name is None:
        raise ConfigError(
            f"{path} cannot be imported as a module: {_no_module(path, project)}",
            fix="rename the file or folder, or name its folder in [tool.turnout.code] roots: workers import it by name",
        )
    module = _import(name, project)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        raise ConfigError(
            f"{path} is hidden by another module called {name!r}",
            why=f"`import {name}` gives {found or 'a module that is built in'}",
            fix="rename the file",
        )
    return module


def _no_module(path: Path, project: Project) -> str:
    if all(path.resolve().is_relative_to((project.root / root).resolve()) is False for root in project.import_roots):
        return f"it lies outside the import roots, {', '.join(project.import_roots)}"
    return "its path is not made of Python names"


def _load_module(name: str) -> ModuleType:
    project = load(root_of(Path.cwd()))
    project.on_path()
    return _import(name, project)


def _import(name: str, project: Project) -> ModuleType:
    try:
        with context.importing():
            return importlib.import_module(name)
    except TurnoutError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"there is no module {name!r}",
                why=f"imports start from {', '.join(str(project.root / root) for root in project.import_roots)}",
                fix="give the path of the file: path.py:name",
            ) from None
        raise ConfigError(
            f"{name} cannot be imported: {error}",
            where=_raised_at(error, project),
            fix=_where_it_lies(error.name, project)
            or f"install the package that has {error.name}, and name it among the project's dependencies",
        ) from error
    except SyntaxError as error:
        where = Location(project.relative(Path(error.filename)), error.lineno) if error.filename else None
        raise ConfigError(f"{name} cannot be imported: {error.msg}", where=where, fix="mend the module") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}",
            where=_raised_at(error, project),
            fix="mend the module; it is imported to find its pipelines",
        ) from error


def _where_it_lies(name: str | None, project: Project) -> str:
    """What to do where a module lies in a folder of the project from which nothing is imported; else empty."""
    top = (name or "").partition(".")[0]
    paths = [path for path in names(project) if f"/{path}".removesuffix(".py").endswith(f"/{top}")]
    if not top or not paths:
        return ""
    folder = paths[0].rpartition("/")[0] or "."
    roots = ", ".join(f'"{root}"' for root in dict.fromkeys((*project.import_roots, folder)))
    return f"{paths[0]} lies in no import root: name its folder, [tool.turnout.code] roots = [{roots}]"


def _raised_at(error: BaseException, project: Project) -> Location | None:
    """The last line of the project's own on the way to an exception."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(project.root) and "site-packages" not in Path(frame.filename).parts
    ]
    return Location(project.relative(Path(own[-1].filename)), own[-1].lineno) if own else None
