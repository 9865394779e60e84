"""Materializers of the project's own classes: ``@materializer(MyType)`` above a class with ``save`` and ``load``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from turnout.base.errors import DefinitionError
from turnout.definition.annotations import class_name
from turnout.definition.places import here
from turnout.model.types import TypeName

ClassT = TypeVar("ClassT", bound=type)

_registry: dict[str, str] = {}
_METHODS = {"save": "(self, value, folder)", "load": "(self, folder)"}


def materializer(*types: type[Any]) -> Callable[[ClassT], ClassT]:
    """Say how values of a class, and of its subclasses, are written and read.

    Args:
        types: the classes. The decorated class has ``save(self, value, folder)``, which writes the value into
            the empty folder (a ``pathlib.Path``), and ``load(self, folder)``, which reads it back. It may have
            ``equal(self, left, right)``, which says whether two such folders hold the same.

    Raises:
        DefinitionError: for what is no class, or a class that a worker could not import or use.
    """
    where = here()
    if not types or not all(isinstance(class_, type) for class_ in types):
        raise DefinitionError(
            "@materializer takes the classes it is for",
            where=where,
            fix="write @materializer(MyType) above the class with save and load",
        )

    def register(cls: ClassT) -> ClassT:
        name = class_name(cls)
        if "<locals>" in name or name.startswith("__main__:"):
            raise DefinitionError(
                f"the materializer {cls.__name__} is defined where a worker cannot import it",
                where=where,
                fix="move it to the top of a module of the project",
            )
        for method, signature in _METHODS.items():
            found = getattr(cls, method, None)
            if not callable(found) or len(inspect.signature(found).parameters) < signature.count(",") + 1:
                raise DefinitionError(
                    f"the materializer {cls.__name__} has no method {method}{signature}",
                    where=where,
                    fix=f"write def {method}{signature}: …",
                )
        for class_ in types:
            _registry[class_name(class_)] = name
        return cls

    return register


def find(type_: TypeName) -> str | None:
    """The project's own materializer for a type, ``module:qualname``; that of the nearest base class."""
    return next((_registry[name] for name in (type_.name, *type_.bases) if name in _registry), None)
