"""The types of parameters and literals, from annotations and from values."""

from __future__ import annotations

import collections.abc
import os
import typing
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any

from turnout.definition.annotations import NOTHING, bare, describe, type_name
from turnout.files import File, Folder
from turnout.spec.types import JSON_TYPE, ParamType, ScalarKind, TypeName
from turnout.spec.values import article

_SCALARS: dict[Any, ScalarKind] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    datetime: "datetime",
    date: "date",
    timedelta: "timedelta",
    File: "file",
    Folder: "folder",
}
_CLASSES: dict[str, Any] = {kind: cls for cls, kind in _SCALARS.items()}
_SEQUENCES = (list, tuple, collections.abc.Sequence)
_MAPPINGS = (dict, collections.abc.Mapping)


class UnknownType(Exception):
    """An annotation that is no parameter's type; its text says why, where that is not plain."""


def param_type(annotation: Any) -> ParamType:
    """The parameter type of an annotation.

    Raises:
        UnknownType: when its values cannot be given to a run as JSON.
    """
    inner, optional = bare(annotation)
    if inner is NOTHING or inner is Any:
        return JSON_TYPE
    if inner in (None, type(None)):
        raise UnknownType("only None fits it")
    found = _inner(inner)
    if optional and not found.optional:
        return ParamType(kind=found.kind, optional=True, items=found.items, choices=found.choices)
    return found


def _inner(inner: Any) -> ParamType:
    origin, args = typing.get_origin(inner), typing.get_args(inner)
    if inner in _SCALARS:
        return ParamType(kind=_SCALARS[inner])
    if origin is typing.Literal:
        return _choices(args)
    if inner in _SEQUENCES or origin in _SEQUENCES:
        return _list(origin, args)
    if inner in _MAPPINGS or origin in _MAPPINGS:
        if args and args[0] not in (str, Any):
            raise UnknownType("the keys of an object are texts")
        return ParamType(kind="dict", items=(_item(args[1]),) if args and args[1] is not Any else ())
    if isinstance(inner, type):
        if issubclass(inner, Enum):
            return _choices(tuple(member.value for member in inner))
        if typing.is_typeddict(inner):
            return ParamType(kind="dict")
        if issubclass(inner, os.PathLike):
            raise UnknownType("a path means nothing on another machine; a File is its content")
    raise UnknownType


def _list(origin: Any, args: tuple[Any, ...]) -> ParamType:
    if origin is tuple and args:
        if len(args) != 2 or args[1] is not Ellipsis:
            raise UnknownType("JSON knows lists only")
        args = args[:1]
    return ParamType(kind="list", items=(_item(args[0]),) if args and args[0] is not Any else ())


def _item(annotation: Any) -> ParamType:
    found = param_type(annotation)
    if found.kind in {"file", "folder"}:
        raise UnknownType("several files are given as one Folder")
    return found


def _choices(values: tuple[Any, ...]) -> ParamType:
    optional = None in values
    choices = tuple(value for value in values if value is not None)
    kinds = {type(value) for value in choices}
    if not kinds or not kinds <= {str, int, bool}:
        raise UnknownType("choices are texts, whole numbers or bools")
    kind: ScalarKind = _SCALARS[kinds.pop()] if len(kinds) == 1 else "json"
    return ParamType(kind=kind, optional=optional, choices=choices)


def type_of_value(value: Any) -> ParamType:
    """The parameter type of a value that is written down without a declared type."""
    if isinstance(value, Enum):
        value = value.value
    for cls in (bool, int, float, str, datetime, date, timedelta, File, Folder):
        if isinstance(value, cls):
            return ParamType(kind=_SCALARS[cls])
    if isinstance(value, (list, tuple)):
        return ParamType(kind="list")
    return ParamType(kind="dict") if isinstance(value, dict) else JSON_TYPE


def type_name_of(type_: ParamType) -> TypeName:
    """What a step that is given a value of this type gets."""
    if type_.kind == "json":
        return type_name(NOTHING)
    cls = _CLASSES.get(type_.kind, dict)
    if type_.kind == "list":
        cls = list[_CLASSES.get(type_.items[0].kind, Any)] if type_.items else list  # type: ignore[misc]
    return type_name(cls | None if type_.optional else cls)


def explain(annotation: Any, reason: UnknownType) -> str:
    """Why an annotation is no parameter's type."""
    return f"{describe(annotation)}: {reason}" if str(reason) else f"a run is not given {article(describe(annotation))}"
