"""Whether what a step returned fits what its signature declares."""

from __future__ import annotations

import os
import sys
from typing import Any

from turnout.base.errors import ArtifactError
from turnout.materializers.classes import loaded, name_of, names_of
from turnout.materializers.paths import FILE, FOLDER
from turnout.materializers.table import TABLES
from turnout.model.types import TypeName

_NUMBERS = ("builtins:int", "builtins:float", "builtins:bool", "builtins:complex", "builtins:str")


def check(value: Any, declared: TypeName, output: str) -> None:
    """Refuse a value that is plainly of another type than declared; where it cannot be told, let it pass.

    An int is a float, a scalar of numpy is a number, and one library's table stands for another's.

    Raises:
        ArtifactError: naming the output, the declared type and the given one.
    """
    if declared.name == "any" or (value is None and declared.optional):
        return
    kind = type(value)
    if value is None and declared.name != "builtins:NoneType":
        raise ArtifactError(
            f"output {output!r} is None, but {declared.text} is declared",
            why="a step that reaches its end without `return` returns None",
            fix=f"return a value, or declare `{declared.text} | None`",
        )
    if not _fits(value, kind, declared.name):
        raise ArtifactError(
            f"output {output!r} is of type {_plain(kind)}, but {declared.text} is declared",
            fix="return a value of the declared type, or change the annotation",
        )


def _fits(value: Any, kind: type[Any], declared: str) -> bool:
    names = names_of(kind)
    if declared in names or declared == "builtins:object":
        return True
    if declared in (FILE, FOLDER):
        return isinstance(value, (str, os.PathLike))
    if declared in TABLES:
        return any(name in TABLES for name in names)
    if declared in ("builtins:float", "builtins:complex") and isinstance(value, (int, float)):
        return not isinstance(value, bool)
    if declared in _NUMBERS and "numpy:generic" in names:
        return True
    return _instance(value, declared)


def _instance(value: Any, declared: str) -> bool:
    """Whether it is an instance of the class by that name: abstract classes and protocols are told this way."""
    found = loaded(declared)
    if not isinstance(found, type):  # no class: a value of one that was never imported cannot be at hand
        return declared.partition(":")[0] in sys.modules
    try:
        return isinstance(value, found)
    except TypeError:
        return True


def _plain(kind: type[Any]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else name_of(kind).replace(":", ".")
