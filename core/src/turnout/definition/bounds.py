"""Constraints in annotations: those of annotated_types, pydantic and msgspec, read without importing any of them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from turnout.model.types import Bounds, ScalarKind

_PACKAGES = frozenset({"annotated_types", "pydantic", "pydantic_core", "msgspec"})
_LIMITS = frozenset({"gt", "ge", "lt", "le", "multiple_of"})
_LENGTHS = frozenset({"min_length", "max_length"})
_ABOUT = frozenset({"title", "description", "examples", "extra", "extra_json_schema", "documentation"})
_FITTING: dict[ScalarKind, frozenset[str]] = {
    "int": _LIMITS,
    "float": _LIMITS,
    "str": _LENGTHS | {"pattern"},
    "list": _LENGTHS,
    "dict": _LENGTHS,
}


class Unchecked(Exception):
    """A constraint that turnout could not hold a value to; its text says which and why."""


def bounds_of(metadata: Iterable[Any], kind: ScalarKind | None) -> Bounds:
    """The bounds among what stands beside a type in ``Annotated``.

    Args:
        kind: the kind of the type; None for one whose values are not checked.

    Raises:
        Unchecked: for a constraint that is none of these bounds, or not one of such values.
    """
    limits: dict[str, Any] = {}
    for item, name, setting in _settings(metadata):
        value = getattr(setting, "pattern", setting)  # of a regular expression
        written = f"{type(item).__name__}({name}={value!r})"
        if name not in Bounds.__struct_fields__:
            raise Unchecked(f"{written} is a constraint that turnout cannot check")
        if kind is None or name not in _FITTING.get(kind, ()):
            raise Unchecked(f"{written} cannot be checked for a value of this type")
        if not isinstance(value, str if name == "pattern" else (int, float)):
            raise Unchecked(f"{written} is not a bound that a plan can hold")
        if limits.setdefault(name, value) != value:
            raise Unchecked(f"{name} is declared twice: {limits[name]!r} and {value!r}")
    return Bounds(**limits)


def is_constrained(annotation: Any) -> bool:
    """Whether an annotation holds a constraint, at any depth."""
    own = getattr(annotation, "__metadata__", ())
    if any(True for _ in _settings(own)):
        return True
    return any(is_constrained(inner) for inner in typing.get_args(annotation) if not isinstance(inner, (str, bytes)))


def _settings(metadata: Iterable[Any]) -> Iterator[tuple[Any, str, Any]]:
    """What each constraint says, setting by setting."""
    for item in metadata:
        if type(item).__module__.partition(".")[0] not in _PACKAGES:
            continue  # a label, or what another tool reads
        if type(item).__name__ == "FieldInfo":
            yield from _settings(item.metadata)
        elif hasattr(item, "__iter__"):
            yield from _settings(item)
        else:
            for name in _names(item):
                if name not in _ABOUT and (value := getattr(item, name)) is not None:
                    yield item, name, value


def _names(item: Any) -> Iterable[str]:
    if dataclasses.is_dataclass(item):
        return [field.name for field in dataclasses.fields(item)]
    if hasattr(item, "__dict__"):
        return list(vars(item))
    return [name for name in dir(item) if not name.startswith("_")]
