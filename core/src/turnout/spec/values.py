"""Values of parameters and literals: converted strictly by their declared type to canonical JSON, and back.

The canonical form is what enters plans, records and cache keys. Converting a canonical value again gives it
unchanged, so that every process on its way may check it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from enum import Enum
from typing import Any, NoReturn

from turnout.errors import ConfigError, Location
from turnout.spec import times
from turnout.spec.contents import to_content
from turnout.spec.scalars import Misfit, to_bool, to_date, to_datetime, to_float, to_int, to_str, to_timedelta
from turnout.spec.types import ParamType

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


def convert(value: Any, type: ParamType, name: str, where: Location | None = None, *, text: bool = True) -> Any:  # noqa: A002
    """Convert a given value to the canonical JSON of its declared type.

    Args:
        value: a Python value, or a text, as the command line and engines give it.
        name: the parameter's name, for the error.
        where: the place in the user's file, for the error.
        text: whether numbers, bools, lists and objects may be given as text; not so in Python source.

    Raises:
        ConfigError: when the value does not fit; nothing is rounded or guessed.
    """
    try:
        return _convert(value, type, text=text)
    except Misfit as misfit:
        inner = misfit.type or type
        raise ConfigError(
            f"the parameter '{name}{misfit.path}' takes {_described(inner)}, not {misfit.shown or shorten(value)}",
            where=where,
            why=misfit.why or None,
            fix=f"give {_wanted(inner)}",
        ) from None


def revive(value: Any, type: ParamType, wanted: type[Any] | None = None) -> Any:  # noqa: A002
    """The Python value of a canonical one: a ``datetime`` and so on. Always a fresh one, which may be changed.

    Args:
        wanted: the class the step declares; of an ``Enum`` the member with this value is returned.

    Raises:
        ValueError: for a file or folder, whose content only the runtime can fetch.
    """
    if value is None:
        return None
    if wanted is not None and issubclass(wanted, Enum):
        return wanted(value)
    match type.kind:
        case "file" | "folder":
            raise ValueError(f"a {type.kind} is revived by the runtime, which fetches its content")
        case "datetime":
            return times.parse_datetime(value)
        case "date":
            return date.fromisoformat(value)
        case "timedelta":
            return timedelta(seconds=value)
        case "list" if type.items:
            return [revive(item, type.items[0]) for item in value]
        case "dict" if type.items:
            return {key: revive(item, type.items[0]) for key, item in value.items()}
        case _:
            return _copy(value)


def shorten(value: Any) -> str:
    """A value for a message: 60 characters at most, a class name for what is not plain."""
    if isinstance(value, (str, int, float, bool, type(None), list, tuple, dict, date, timedelta, Enum)):
        try:
            shown = repr(value)
        except ValueError:
            shown = f"an int of {value.bit_length()} bits" if isinstance(value, int) else article(type(value).__name__)
    else:
        kind = type(value)
        shown = article(
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _convert(value: Any, type_: ParamType, *, text: bool) -> Any:
    value = _plain(value)
    is_null = isinstance(value, str) and value == "null" and text and type_.kind not in {"str", "json"}
    if value is None or (type_.optional and is_null):
        if type_.optional:
            return None
        raise Misfit("it is not declared as optional")
    match type_.kind:
        case "list":
            result: Any = _list(value, type_, text=text)
        case "dict":
            result = _dict(value, type_, text=text)
        case "int" | "float" | "bool":
            if isinstance(value, str) and not text:
                raise Misfit("a text is not a number or bool in Python")
            result = _KINDS[type_.kind](value)
        case "json" if type_.choices:
            return _choice(value, type_.choices)
        case kind:
            result = _KINDS[kind](value)
    if type_.choices and not any(_same(result, choice) for choice in type_.choices):
        raise Misfit
    return result


def _plain(value: Any) -> Any:
    """The Python value of an Enum's member or of a numpy scalar."""
    if isinstance(value, Enum):
        value = value.value
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return value.item()
    return value


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


def _list(value: Any, type_: ParamType, *, text: bool) -> list[Any]:
    if isinstance(value, str) and text:
        value = _parsed(value, list)
    if not isinstance(value, (list, tuple)):
        raise Misfit
    item_type = type_.items[0] if type_.items else ParamType(kind="json", optional=True)
    return [_inside(item, f"[{number}]", item_type, text=text) for number, item in enumerate(value)]


def _dict(value: Any, type_: ParamType, *, text: bool) -> dict[str, Any]:
    if isinstance(value, str) and text:
        value = _parsed(value, dict)
    if not isinstance(value, dict):
        raise Misfit
    item_type = type_.items[0] if type_.items else ParamType(kind="json", optional=True)
    return {_key(key): _inside(item, f"[{key!r}]", item_type, text=text) for key, item in value.items()}


def _inside(value: Any, path: str, type_: ParamType, *, text: bool) -> Any:
    try:
        return _convert(value, type_, text=text)
    except Misfit as misfit:
        misfit.type = misfit.type or type_
        misfit.shown = misfit.shown or shorten(value)
        misfit.path = path + misfit.path
        raise


def _parsed(value: str, kind: type[Any]) -> Any:
    try:
        found = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Misfit("a text must be JSON here") from None
    if not isinstance(found, kind):
        raise Misfit
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Misfit(f"its key {shorten(key)} is not a text")
    return to_str(key)


def _json(value: Any) -> Any:
    value = _plain(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return to_float(value)
    if isinstance(value, str):
        return to_str(value)
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): _json(item) for key, item in value.items()}
    raise Misfit(f"{shorten(value)} is not JSON")


_KINDS: dict[str, Callable[[Any], Any]] = {
    "int": to_int,
    "float": to_float,
    "bool": to_bool,
    "str": to_str,
    "datetime": to_datetime,
    "date": to_date,
    "timedelta": to_timedelta,
    "json": _json,
    "file": to_content,
    "folder": to_content,
}


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value


def article(text: str) -> str:
    """The text with *a* or *an* before it."""
    return f"{'an' if text[0].lower() in 'aeiou' else 'a'} {text}"


def _described(type_: ParamType) -> str:
    if type_.choices:
        return str(type_)
    return "a JSON value" if type_.kind == "json" else article(str(type_))


def _wanted(type_: ParamType) -> str:
    if type_.choices:
        return " or ".join(repr(choice) for choice in type_.choices)
    return _EXAMPLES[type_.kind] + (", or null" if type_.optional and type_.kind != "json" else "")
