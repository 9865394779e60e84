"""Materializers of a project's own: any class with ``save(value, folder)`` and ``load(folder)``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer
from turnout.model.types import ANY, TypeName


class Own(Materializer):
    """A project's class as a materializer; ``name`` is the class's ``module:qualname``.

    One that pickles says so by a class attribute, ``pickled = True``. Where it does not, its files are looked at.
    """

    own: ClassVar[Any]

    def save(self, value: Any, folder: Path) -> None:
        self.own.save(value, folder)

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        return self.own.load(folder, wanted) if isinstance(self.own, Materializer) else self.own.load(folder)

    def equal(self, left: Path, right: Path) -> bool:
        compare = getattr(self.own, "equal", super().equal)
        return bool(compare(left, right))


def adapt(name: str, found: Any) -> Materializer:
    """A materializer of the class *found* under *name*.

    Raises:
        ArtifactError: when it has no ``save`` or ``load``, or cannot be made without arguments.
    """
    if not isinstance(found, type) or not all(callable(getattr(found, method, None)) for method in ("save", "load")):
        raise ArtifactError(
            f"{name} is not a materializer",
            why="it must be a class with save(self, value, folder) and load(self, folder)",
            fix="add the methods, or name another class by @turnout.materializer",
        )
    try:
        instance = found()
    except TypeError as error:
        raise ArtifactError(
            f"the materializer {name} cannot be made: {error}", fix="let its constructor take no arguments"
        ) from error
    says = {"name": name, "own": instance, "pickled": bool(getattr(found, "pickled", False))}
    adapted: type[Own] = type("Own", (Own,), says)
    return adapted()
