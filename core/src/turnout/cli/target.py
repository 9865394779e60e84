"""Finding the pipeline that a command names."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from turnout.api.pipeline import Pipeline
from turnout.errors import ConfigError, TurnoutError, did_you_mean
from turnout.packaging.project import Project, load, root_of


def find_pipeline(target: str) -> Pipeline:
    """The pipeline ``module:name`` or ``path.py:name``; the name may be left out where there is one.

    Raises:
        ConfigError: when there is no such file, module or pipeline, or more than one to choose from.
    """
    place, _, name = target.partition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    if not name:
        own = {key: value for key, value in found.items() if value.function.__module__ == module.__name__} or found
        if len(own) == 1:
            return next(iter(own.values()))
        if not own:
            raise ConfigError(f"{place} defines no pipeline", fix="decorate a function with @pipeline")
        raise ConfigError(f"{place} defines {len(own)} pipelines", fix=f"name one: {place}:{next(iter(own))}")
    if name not in found:
        raise ConfigError(
            f"{place} has no pipeline {name!r}. {did_you_mean(name, found)}".rstrip(),
            fix=f"its pipelines are: {', '.join(found) or 'none'}",
        )
    return found[name]


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}", fix="give the path of a Python file, or module:name")
    project = load(root_of(path))
    project.on_path()
    name = project.module_of(path)
    if name is None:
        raise ConfigError(
            f"{path} cannot be imported as a module: its path is not made of Python names",
            fix="rename the file or folder, for workers import it by name",
        )
    return _import(name, project)


def _load_module(name: str) -> ModuleType:
    project = load(root_of(Path.cwd()))
    project.on_path()
    return _import(name, project)


def _import(name: str, project: Project) -> ModuleType:
    try:
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
            f"{name} cannot be imported: {error}", fix="install what it needs into this environment"
        ) from error
    except Exception as error:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith(str(project.root))] or frames[-1:]
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}",
            where=f"{project.relative(Path(own[-1].filename))}:{own[-1].lineno}",
            fix="mend the module; it is imported to find its pipelines",
        ) from error
