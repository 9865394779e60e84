"""The types of parameters and literals, from annotations and from values."""

from __future__ import annotations

import collections.abc
import os
import typing
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, Literal

from msgspec.structs import replace

from turnout.definition.annotations import NOTHING, class_name, describe, peel, type_name
from turnout.definition.bounds import bounds_of
from turnout.files import File, Folder
from turnout.model.types import JSON_TYPE, Field, ParamType, ScalarKind, TypeName
from turnout.model.values import article, member_key

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
_SEQUENCES: dict[Any, Literal["list", "tuple", "any"]] = {
    list: "list",
    tuple: "tuple",
    collections.abc.Sequence: "any",
}
_MAPPINGS = (dict, collections.abc.Mapping)


class UnknownType(Exception):
    """An annotation that is no parameter's type; its text says why, where that is not plain."""


def param_type(annotation: Any) -> ParamType:
    """The parameter type of an annotation.

    Raises:
        UnknownType: when its values cannot be given to a run as JSON.
        Unchecked: when it has a constraint that values cannot be held to.
    """
    inner, optional, metadata = peel(annotation)
    if inner is NOTHING or inner is Any:
        return replace(JSON_TYPE, bounds=bounds_of(metadata, "json"))
    if inner in (None, type(None)):
        raise UnknownType("only None fits it")
    found = _inner(inner)
    bounds = bounds_of(metadata, None if found.choices else found.kind)
    return replace(found, optional=optional or found.optional, bounds=bounds)


def _inner(inner: Any) -> ParamType:
    origin, args = typing.get_origin(inner), typing.get_args(inner)
    if inner in _SCALARS:
        return ParamType(kind=_SCALARS[inner])
    if origin is typing.Literal:
        return _choices(args)
    if inner in _SEQUENCES or origin in _SEQUENCES:
        return _list(origin or inner, args)
    if inner in _MAPPINGS or origin in _MAPPINGS:
        if args and args[0] not in (str, Any):
            raise UnknownType("the keys of an object are texts")
        return ParamType(kind="dict", items=(_item(args[1]),) if args and args[1] is not Any else ())
    if isinstance(inner, type):
        if issubclass(inner, Enum):
            return _enum(inner)
        if typing.is_typeddict(inner):
            return ParamType(kind="dict", fields=tuple(_fields(inner)))
        if issubclass(inner, os.PathLike):
            raise UnknownType("a path means nothing on another machine; a File is its content")
    raise UnknownType


def _list(origin: Any, args: tuple[Any, ...]) -> ParamType:
    if origin is tuple and args and args[-1] is not Ellipsis:
        return ParamType(kind="list", items=tuple(_item(arg) for arg in args if arg != ()), sequence="fixed")
    items = (_item(args[0]),) if args and args[0] is not Any else ()
    return ParamType(kind="list", items=items, sequence=_SEQUENCES[origin])


def _item(annotation: Any) -> ParamType:
    found = param_type(annotation)
    if found.kind in {"file", "folder"}:
        raise UnknownType("several files are given as one Folder")
    return found


def _fields(inner: Any) -> Iterator[Field]:
    """The keys of a TypedDict, by their annotations."""
    for name, annotation, required in _hints(inner):
        yield Field(name=name, type=_item(annotation), required=required)


def _hints(inner: Any) -> Iterator[tuple[str, Any, bool]]:
    """The keys of a TypedDict, each with its annotation and whether it must be there."""
    try:
        hints = typing.get_type_hints(inner, include_extras=True)
    except Exception as error:
        raise UnknownType(f"its fields cannot be understood: {error}") from None
    for name, annotation in hints.items():
        said = getattr(typing.get_origin(annotation), "_name", None)  # of texts, __required_keys__ does not know
        yield name, annotation, said == "Required" or (said != "NotRequired" and name in inner.__required_keys__)


def declared_keys(annotation: Any) -> ParamType | None:
    """The type of a TypedDict of which some fields are of other types: these take anything. None for what is none."""
    if not typing.is_typeddict(annotation):
        return None
    fields = []
    for name, inner, required in _hints(annotation):
        try:
            type_ = _item(inner)
        except UnknownType:
            type_ = JSON_TYPE
        fields.append(Field(name=name, type=type_, required=required))
    return ParamType(kind="dict", fields=tuple(fields))


def _enum(cls: type[Enum]) -> ParamType:
    members = tuple(cls)
    if not members:
        raise UnknownType("it has no members")
    return replace(_choices(tuple(map(member_key, members))), enum=class_name(cls))


def _choices(values: tuple[Any, ...]) -> ParamType:
    optional = None in values
    choices = tuple(value for value in values if value is not None)
    kinds = {type(value) for value in choices}
    if not kinds or not kinds <= {str, int, bool}:
        raise UnknownType("choices are texts, whole numbers or bools")
    kind: ScalarKind = _SCALARS[kinds.pop()] if len(kinds) == 1 else "json"
    return ParamType(kind=kind, optional=optional, choices=choices)


def type_of_value(value: Any) -> ParamType:
    """The parameter type of a value that is written down without a declared type; each keeps its class."""
    if isinstance(value, Enum):
        return _enum(type(value))
    if isinstance(value, (File, Folder)):
        return ParamType(kind="file" if isinstance(value, File) else "folder")
    cls = type(value)
    if cls in _SCALARS:
        return ParamType(kind=_SCALARS[cls])
    if cls in (list, tuple):
        return ParamType(kind="list", sequence=_SEQUENCES[cls])
    return ParamType(kind="dict") if cls is dict else JSON_TYPE


def type_name_of(type_: ParamType) -> TypeName:
    """What a step that is given a value of this type gets."""
    if type_.enum:
        qualname = type_.enum.partition(":")[2]
        text = f"{qualname} | None" if type_.optional else qualname
        return TypeName(name=type_.enum, bases=("enum:Enum",), text=text, optional=type_.optional)
    if type_.kind == "json":
        return type_name(NOTHING)
    if type_.kind == "list" and len(type_.items) == 1 and type_.items[0].enum and type_.sequence in {"list", "any"}:
        element = type_name_of(type_.items[0])
        return replace(
            element, text=f"list[{element.text}]", collection=True, nullable=element.optional, optional=type_.optional
        )
    cls = _CLASSES.get(type_.kind, dict)
    if type_.kind == "list":
        cls = list[_CLASSES.get(type_.items[0].kind, Any)] if len(type_.items) == 1 else list  # type: ignore[misc]
        cls = tuple if type_.sequence in {"tuple", "fixed"} else cls
    return type_name(cls | None if type_.optional else cls)


def explain(annotation: Any, reason: UnknownType) -> str:
    """Why an annotation is no parameter's type."""
    return f"{describe(annotation)}: {reason}" if str(reason) else f"a run is not given {article(describe(annotation))}"
