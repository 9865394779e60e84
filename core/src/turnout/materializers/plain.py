"""The plain form of values: JSON that keeps every type, and back.

``None``, bool, int, finite float, str, list and dict with string keys are themselves. What JSON cannot hold is an
object of one key that starts with ``$``: ``{"$tuple": [1, 2]}``, ``{"$date": "2026-03-01"}``. An object whose keys
are not in sorted order carries that order in one further key: ``{"b": 1, "a": 2, "$keys": ["b", "a"]}``, since
canonical JSON sorts them. A dict with other keys, or with keys that start with ``$``, is ``{"$dict": [[key, value]]}``.
"""

from __future__ import annotations

import base64
import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.components.materializer import Unfit
from turnout.materializers import objects
from turnout.materializers.classes import name_of, names_of
from turnout.materializers.objects import Convert, Written

_PLAIN_BITS = 1024
"""Longer integers are written in hexadecimal: Python bounds the decimal digits it converts."""


def lower(value: Any, part: Convert | None = None) -> Any:
    """The plain form of *value*; a tree that shares no container with it.

    Args:
        part: takes a value without a plain form, saves it elsewhere and returns a JSON reference to it.

    Raises:
        Unfit: when a value in it has no plain form, and no *part* takes it.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if value.bit_length() <= _PLAIN_BITS else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is str:
        return value if _encodable(value) else {"$str": value.encode("utf-8", "surrogatepass").hex()}
    if kind is list:
        return [lower(item, part) for item in value]
    if kind is dict:
        return _lower_dict(value, part)
    return _lower_tagged(value, kind, part)


def lift(tree: Any, part: Convert | None = None) -> Any:
    """The value of a plain form, made anew at each call.

    Args:
        part: returns the value of a reference that *part* of :func:`lower` returned.

    Raises:
        ArtifactError: for a form this turnout does not know, or a class that cannot be imported or has changed.
    """
    kind = type(tree)
    if kind is list:
        return [lift(item, part) for item in tree]
    if kind is not dict:
        return tree
    if len(tree) == 1:
        ((tag, body),) = tree.items()
        if tag.startswith("$"):
            return _lift_tagged(tag, body, part)
    keys = tree.get("$keys")
    return {key: lift(tree[key], part) for key in (tree if keys is None else keys)}


def simplify(value: Any) -> Any:
    """The value as JSON knows it, for a guard: tuples and sets as lists, enums and numpy scalars as what they hold."""
    if isinstance(value, Enum):
        return simplify(value.value)
    if isinstance(value, dict):
        return {key: simplify(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [simplify(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((simplify(item) for item in value), key=canonical.encode)
    return value.item() if objects.SCALAR in names_of(type(value)) else value


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lower_dict(value: dict[Any, Any], part: Convert | None) -> Any:
    if not all(type(key) is str and not key.startswith("$") and _encodable(key) for key in value):
        return {"$dict": [[lower(key, part), lower(item, part)] for key, item in value.items()]}
    tree = {key: lower(item, part) for key, item in value.items()}
    keys = list(tree)
    if keys != sorted(keys):
        tree["$keys"] = keys
    return tree


def _lower_tagged(value: Any, kind: type, part: Convert | None) -> Any:
    write = _WRITERS.get(kind)
    if write is not None:
        tag, body = write(value, lambda item: lower(item, part))
        return {tag: body}
    if written := objects.lower(value, lambda item: lower(item, part)):
        return {written[0]: written[1]}
    if part is not None:
        return {"$part": part(value)}
    raise Unfit(f"a value of {name_of(kind)} has no plain form")


def _lift_tagged(tag: str, body: Any, part: Convert | None) -> Any:
    if tag == "$part" and part is not None:
        return part(body)
    read = _READERS.get(tag)
    if read is None:
        raise ArtifactError(f"a value has the plain form {tag!r}, which this turnout does not know")
    try:
        return read(body, lambda item: lift(item, part))
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise ArtifactError(f"a value of the plain form {tag!r} cannot be read: {error}") from error


# The types of the standard library: exactly these classes, subclasses have a state of their own.


def _lower_set(tag: str) -> Callable[[Any, Convert], Written]:
    def write(value: Any, down: Convert) -> Written:
        items = sorted(value) if all(isinstance(item, PurePath) for item in value) else value  # parts are numbered
        return tag, sorted((down(item) for item in items), key=canonical.encode)

    return write


def _offset(zone: tzinfo | None) -> bool:
    """Whether ISO 8601 tells all of a time zone: there is none, or a fixed offset without a name of its own."""
    return zone is None or (type(zone) is timezone and zone.tzname(None).startswith("UTC"))


def _lower_datetime(value: datetime, _: Convert) -> Written:
    if _offset(value.tzinfo):
        return "$datetime", [value.isoformat(), "", value.fold]
    if key := objects.zone_key(value.tzinfo):
        return "$datetime", [value.replace(tzinfo=None).isoformat(), key, value.fold]
    raise Unfit("a datetime with a time zone of a class of its own has no plain form")


def _lift_datetime(body: Any, _: Convert) -> datetime:
    text, key, fold = body
    moment = datetime.fromisoformat(text).replace(fold=fold)
    if not key:
        return moment
    from zoneinfo import ZoneInfo

    return moment.replace(tzinfo=ZoneInfo(key))


def _lower_time(value: time, _: Convert) -> Written:
    if not _offset(value.tzinfo):
        raise Unfit("a time with a time zone other than a fixed offset has no plain form")
    return "$time", [value.isoformat(), value.fold]


def _lower_ordered(value: OrderedDict[Any, Any], down: Convert) -> Written:
    if vars(value):
        raise Unfit("an OrderedDict with attributes of its own has no plain form")
    return "$ordered", [[down(key), down(item)] for key, item in value.items()]


_WRITERS: dict[type, Callable[[Any, Convert], Written]] = {
    tuple: lambda value, down: ("$tuple", [down(item) for item in value]),
    set: _lower_set("$set"),
    frozenset: _lower_set("$frozenset"),
    OrderedDict: _lower_ordered,
    bytes: lambda value, _: ("$bytes", base64.b64encode(value).decode()),
    bytearray: lambda value, _: ("$bytearray", base64.b64encode(value).decode()),
    complex: lambda value, down: ("$complex", [down(value.real), down(value.imag)]),
    range: lambda value, _: ("$range", [value.start, value.stop, value.step]),
    Decimal: lambda value, _: ("$decimal", str(value)),
    Fraction: lambda value, _: ("$fraction", str(value)),
    UUID: lambda value, _: ("$uuid", str(value)),
    datetime: _lower_datetime,
    date: lambda value, _: ("$date", value.isoformat()),
    time: _lower_time,
    timedelta: lambda value, _: ("$timedelta", [value.days, value.seconds, value.microseconds]),
}


_READERS: dict[str, Callable[[Any, Convert], Any]] = {
    "$int": lambda body, _: int(body, 16),
    "$float": lambda body, _: float(body),
    "$str": lambda body, _: bytes.fromhex(body).decode("utf-8", "surrogatepass"),
    "$dict": lambda body, up: {up(key): up(item) for key, item in body},
    "$tuple": lambda body, up: tuple(up(item) for item in body),
    "$set": lambda body, up: {up(item) for item in body},
    "$frozenset": lambda body, up: frozenset(up(item) for item in body),
    "$ordered": lambda body, up: OrderedDict((up(key), up(item)) for key, item in body),
    "$bytes": lambda body, _: base64.b64decode(body, validate=True),
    "$bytearray": lambda body, _: bytearray(base64.b64decode(body, validate=True)),
    "$complex": lambda body, up: complex(up(body[0]), up(body[1])),
    "$range": lambda body, _: range(*body),
    "$decimal": lambda body, _: Decimal(body),
    "$fraction": lambda body, _: Fraction(body),
    "$uuid": lambda body, _: UUID(body),
    "$datetime": _lift_datetime,
    "$date": lambda body, _: date.fromisoformat(body),
    "$time": lambda body, _: time.fromisoformat(body[0]).replace(fold=body[1]),
    "$timedelta": lambda body, _: timedelta(*body),
    **objects.READERS,
}
