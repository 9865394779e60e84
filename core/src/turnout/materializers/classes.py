"""Classes by name: ``module:qualname`` of a class and of its bases, and back."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from turnout.base.errors import ArtifactError


def name_of(cls: type[Any]) -> str:
    """``module:qualname`` of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def names_of(cls: type[Any]) -> tuple[str, ...]:
    """The names of a class and its bases, nearest first, without ``object``."""
    return tuple(name_of(base) for base in cls.__mro__ if base is not object)


def loaded(name: str) -> Any | None:
    """What is called *name*, if its module is loaded and has it; nothing is imported."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def importable(cls: type[Any]) -> bool:
    """Whether another process finds this very class under its name."""
    return cls.__module__ != "__main__" and loaded(name_of(cls)) is cls


def resolve(name: str) -> Any:
    """Import what is called ``module:qualname``.

    Raises:
        ArtifactError: when there is no such module, or nothing of that name in it.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArtifactError(
            f"{name} cannot be imported",
            why=str(error),
            fix="a value of it was saved: call it in its project's folder; a class that is gone has to be kept "
            "where it was, or the step that made the value run again",
        ) from error
    return found
