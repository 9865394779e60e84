"""Values of parameters and literals: converted strictly by their declared type to canonical JSON, and back.

The canonical form is what enters plans, records and cache keys; what plain JSON cannot say is data in it, see
:mod:`turnout.model.forms`. Converting a canonical value again gives it unchanged, so that every process on its way may
check it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from enum import Enum
from typing import Any, NamedTuple, NoReturn

from turnout.base.errors import ConfigError, Location, did_you_mean
from turnout.model import forms, times
from turnout.model.bounds import check
from turnout.model.contents import to_content
from turnout.model.scalars import Misfit, Typed, to_bool, to_date, to_datetime, to_float, to_int, to_str, to_timedelta
from turnout.model.types import JSON_TYPE, ParamType

_EXAMPLES = {
    "int": "a whole number, such as 3",
    "float": "a number, such as 0.5",
    "bool": "true or false",
    "str": "a text",
    "datetime": "an ISO 8601 time, such as 2026-01-31T06:00:00Z",
    "date": "an ISO 8601 date, such as 2026-01-31",
    "timedelta": "seconds or an ISO 8601 duration, such as 90 or PT1M30S",
    "list": "a list, such as [1, 2] (JSON)",
    "dict": 'an object, such as {"a": 1} (JSON)',
    "json": "a JSON value: null, a bool, a finite number, a text, a list, an object with texts as keys",
    "file": "a path or a URL",
    "folder": "a path or a URL",
}


class Reading(NamedTuple):
    """How a value was given.

    ``text``: numbers, bools, lists and objects may be texts; not so in Python source. ``canonical``: as
    :func:`convert` takes it.
    """

    text: bool
    canonical: bool


def convert(
    value: Any,
    type: ParamType,  # noqa: A002
    name: str,
    where: Location | None = None,
    *,
    text: bool = True,
    canonical: bool = True,
) -> Any:
    """Convert a given value to the canonical JSON of its declared type.

    Args:
        value: a Python value, or a text, as the command line and engines give it.
        name: the parameter's name, for the error.
        where: the place in the user's file, for the error.
        text: whether numbers, bools, lists and objects may be given as text; not so in Python source.
        canonical: whether it is JSON, perhaps in canonical form already, as engines hand it on; else a Python value or
            what a person typed, in which the order of an object's keys counts and each value keeps its class.

    Raises:
        ConfigError: when the value does not fit; nothing is rounded or guessed.
    """
    try:
        return _convert(value, type, Reading(text, canonical))
    except Misfit as misfit:
        inner = misfit.type or type
        raise ConfigError(
            f"the parameter '{name}{misfit.path}' takes {_described(inner)}, not {misfit.shown or shorten(value)}",
            where=where,
            why=misfit.why or None,
            fix=misfit.fix or f"give {_example(inner)}",
        ) from None


def revive(value: Any, type: ParamType, enum: Callable[[str], type[Any]] | None = None) -> Any:  # noqa: A002
    """The Python value of a canonical one: a ``datetime`` and so on. Always a fresh one, which may be changed.

    Args:
        enum: returns the class of ``module:qualname``; without it, members of an ``Enum`` stay their keys.

    Raises:
        ValueError: for a file or folder, whose content only the runtime can fetch.
    """
    if value is None:
        return None
    if type.enum and enum is not None:
        return next(member for member in enum(type.enum) if _same(member_key(member), value))
    match type.kind:
        case "file" | "folder":
            raise ValueError(f"a {type.kind} is revived by the runtime, which fetches its content")
        case "datetime":
            return times.parse_datetime(value)
        case "date":
            return date.fromisoformat(value)
        case "timedelta":
            return timedelta(seconds=value)
        case "list":
            elements = forms.tuple_in(value)
            items = value if elements is None else elements
            found = [revive(*pair, enum) for pair in zip(items, _element_types(type, len(items)), strict=True)]
            return tuple(found) if elements is not None or type.sequence in {"tuple", "fixed"} else found
        case "dict":
            return {key: revive(item, _value_type(type, key), enum) for key, item in forms.entries(value).items()}
        case _:
            return _fresh(value)


def readable(value: Any, type: ParamType) -> Any:  # noqa: A002
    """A canonical value as guards read it: without forms, times in UTC as texts."""
    if value is None:
        return None
    match type.kind:
        case "datetime":
            return times.to_utc(value)
        case "list":
            elements = forms.tuple_in(value)
            value = value if elements is None else elements
            return [readable(*pair) for pair in zip(value, _element_types(type, len(value)), strict=True)]
        case "dict":
            return {key: readable(item, _value_type(type, key)) for key, item in forms.entries(value).items()}
        case _:
            return forms.plain(value)


def is_plain(type_: ParamType) -> bool:
    """Whether a type's canonical values, read as those of no declared type, are its Python values."""
    if type_.enum or type_.kind in {"datetime", "date", "timedelta", "file", "folder"}:
        return False
    return type_.sequence not in {"tuple", "fixed"} and all(map(is_plain, type_.parts))


def member_key(member: Enum) -> Any:
    """What stands for a member of an ``Enum``: its value, or its name where a member has the value None."""
    return member.name if any(one.value is None for one in type(member)) else member.value


def shorten(value: Any) -> str:
    """A value for a message: 60 characters at most, a class name for what is not plain."""
    if isinstance(value, (str, int, float, bool, type(None), list, tuple, dict, date, timedelta, Enum)):
        try:
            text = repr(value)
        except ValueError:
            text = f"an int of {value.bit_length()} bits" if isinstance(value, int) else article(type(value).__name__)
    else:
        kind = type(value)
        text = article(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")
    return text if len(text) <= 60 else text[:57] + "..."


def _convert(value: Any, type_: ParamType, reading: Reading) -> Any:
    if reading.canonical and (text := forms.text_in(value)) is not None:
        value = _parsed(text, object)
    value = _plain(value, type_, reading)
    is_null = isinstance(value, str) and value == "null" and reading.text and type_.kind not in {"str", "json"}
    if isinstance(value, Typed):
        is_null = is_null or (value == "null" and (type_.kind == "str" or bool(type_.choices)))
        value = "null" if value == '"null"' and type_.kind == "str" and type_.optional else str(value)
    if value is None or (type_.optional and is_null):
        if type_.optional:
            return None
        raise Misfit("it is not declared as optional")
    match type_.kind:
        case "list":
            result: Any = _list(value, type_, reading)
        case "dict":
            result = _dict(value, type_, reading)
        case "int" | "float" | "bool":
            if isinstance(value, str) and not reading.text:
                raise Misfit("a text is not a number or bool in Python")
            result = _KINDS[type_.kind](value)
        case "json" if type_.choices:
            return _choice(value, type_.choices)
        case "json":
            result = _json(value, reading)
        case kind:
            result = _KINDS[kind](value)
    if type_.choices and not any(_same(result, choice) for choice in type_.choices):
        raise Misfit
    check(result, type_)
    return result


def _plain(value: Any, type_: ParamType, reading: Reading) -> Any:
    """What a declared type makes of a member of an ``Enum`` or a scalar of numpy; without one, they are what they are.

    Raises:
        Misfit: for a member of another class than the declared one.
    """
    is_declared = type_.kind != "json" or type_.choices or reading.canonical
    if isinstance(value, Enum) and type_.enum:
        if type(value).__qualname__ != type_.enum.partition(":")[2]:
            raise Misfit(f"it is {article(type(value).__qualname__)}")
        return member_key(value)
    if isinstance(value, Enum) and is_declared:
        return value.value
    return value.item() if is_declared and is_numpy_scalar(value) else value


def is_numpy_scalar(value: Any) -> bool:
    """Whether a value is one number of numpy or the like, with a type of its own."""
    return hasattr(value, "dtype") and getattr(value, "shape", None) == ()


def _same(value: Any, choice: Any) -> bool:
    return type(value) is type(choice) and bool(value == choice)


def _choice(value: Any, choices: tuple[str | int | bool, ...]) -> Any:
    for choice in choices:
        if _same(value, choice):
            return choice
    for choice in choices:
        if isinstance(value, str) and value == (str(choice).lower() if isinstance(choice, bool) else str(choice)):
            return choice
    raise Misfit


def _list(value: Any, type_: ParamType, reading: Reading) -> Any:
    if isinstance(value, str) and reading.text:
        value = _parsed(value, list)
    if reading.canonical and (elements := forms.tuple_in(value)) is not None:
        value = tuple(elements)
    if not isinstance(value, (list, tuple)):
        raise Misfit
    if type_.sequence == "fixed" and len(value) != len(type_.items):
        raise Misfit(f"it has {len(value)} elements, and the type says {len(type_.items)}")
    kinds = _element_types(type_, len(value))
    found = [_inside(item, f"[{number}]", kinds[number], reading) for number, item in enumerate(value)]
    return {forms.TUPLE: found} if type_.sequence == "any" and isinstance(value, tuple) else found


def _dict(value: Any, type_: ParamType, reading: Reading) -> dict[str, Any]:
    if isinstance(value, str) and reading.text:
        value = _parsed(value, dict)
    items = _items(value, reading)
    if type_.fields:
        names = [field.name for field in type_.fields]
        if missing := [field.name for field in type_.fields if field.required and field.name not in items]:
            raise Misfit(f"it has no {missing[0]!r}", fix=f"give it all of {', '.join(names)}")
        if unknown := [key for key in items if key not in names]:
            raise Misfit(f"it has no field {unknown[0]!r}. {did_you_mean(unknown[0], names)}".rstrip(" ."))
    return forms.of_dict(
        {to_str(key): _inside(item, f"[{key!r}]", _value_type(type_, key), reading) for key, item in items.items()}
    )


def _items(value: Any, reading: Reading) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Misfit
    for key in value:
        if type(key) is not str:
            raise Misfit(f"its key {shorten(key)} is not a text")
    return forms.entries(value) if reading.canonical else value


def _element_types(type_: ParamType, length: int) -> tuple[ParamType, ...]:
    if type_.sequence == "fixed":
        return type_.items
    return (type_.items[0] if type_.items else JSON_TYPE,) * length


def _value_type(type_: ParamType, key: str) -> ParamType:
    for field in type_.fields:
        if field.name == key:
            return field.type
    return type_.items[0] if type_.items else JSON_TYPE


def _inside(value: Any, path: str, type_: ParamType, reading: Reading) -> Any:
    try:
        return _convert(value, type_, reading)
    except Misfit as misfit:
        misfit.type = misfit.type or type_
        misfit.shown = misfit.shown or shorten(value)
        misfit.path = path + misfit.path
        raise


def _parsed(value: str, kind: type[Any]) -> Any:
    try:
        decoded = json.loads(value, parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise Misfit("a text must be JSON here") from None
    if not isinstance(decoded, kind):
        raise Misfit
    return decoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Misfit("it has a key twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _json(value: Any, reading: Reading) -> Any:
    """A value of no declared type: what JSON and the forms say exactly, so of no other class."""
    if reading.canonical:
        value = _plain(value, JSON_TYPE, reading)
        value = list(value) if isinstance(value, tuple) else value
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return to_int(value)
    if kind is float:
        return to_float(value)
    if kind is str:
        return to_str(value)
    if reading.canonical and (elements := forms.tuple_in(value)) is not None:
        value, kind = tuple(elements), tuple
    if kind in {list, tuple}:
        found = [_json(item, reading) for item in value]
        return found if kind is list else {forms.TUPLE: found}
    if kind is dict:
        return forms.of_dict({to_str(key): _json(item, reading) for key, item in _items(value, reading).items()})
    raise Misfit(f"{shorten(value)} is not JSON")


_KINDS: dict[str, Callable[[Any], Any]] = {
    "int": to_int,
    "float": to_float,
    "bool": to_bool,
    "str": to_str,
    "datetime": to_datetime,
    "date": to_date,
    "timedelta": to_timedelta,
    "file": to_content,
    "folder": to_content,
}


def _fresh(value: Any) -> Any:
    """The Python value of a canonical one of no declared type."""
    if (elements := forms.tuple_in(value)) is not None:
        return tuple(_fresh(item) for item in elements)
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in forms.entries(value).items()}
    return value


def article(text: str) -> str:
    """The text with *a* or *an* before it."""
    return f"{'an' if text[0].lower() in 'aeiou' else 'a'} {text}"


def _described(type_: ParamType) -> str:
    if type_.choices:
        return str(type_)
    return "a JSON value" if type_.kind == "json" else article(str(type_))


def _example(type_: ParamType) -> str:
    if type_.choices:
        return " or ".join(repr(choice) for choice in type_.choices)
    return _EXAMPLES[type_.kind] + (", or null" if type_.optional and type_.kind != "json" else "")
