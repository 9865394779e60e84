"""Run-time parameters as Airflow's own: typed, described, and checked before a run starts."""

from __future__ import annotations

import json
import math
from typing import Any

from turnout.plugin_api import ParamSpec, ParamType, in_text, plain, pysource

_SMALL = 2**63
_TYPES: dict[str, list[str]] = {
    "int": ["integer"],
    "float": ["number"],
    "bool": ["boolean"],
    "str": ["string"],
    "datetime": ["string"],
    "date": ["string"],
    "timedelta": ["number", "string"],
    "list": ["array"],
    "dict": ["object"],
    "file": ["string", "object"],  # a URL, or a digest
    "folder": ["object"],
}


def packable(value: Any) -> Any:
    """A value of JSON with whole numbers beyond 64 bits as texts: Airflow's scheduler cannot hand those on."""
    if isinstance(value, int) and not -_SMALL <= value < _SMALL:
        return str(value)
    if isinstance(value, dict):
        return {key: packable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [packable(item) for item in value]
    return value


def sent(value: Any, type_: ParamType) -> Any:
    """A parameter's canonical value for the configuration of a run."""
    if type_.kind == "int" or _survives(value, is_text=type_.kind in {"str", "file", "folder"}):
        return packable(value)
    return in_text(value)


def _survives(value: Any, *, is_text: bool) -> bool:
    """Whether Airflow hands on a value as it is.

    PostgreSQL's JSON knows no -0.0 and no exponents, its scheduler no large numbers, and its schema only such times as
    name no zone.
    """
    if isinstance(value, str):
        return is_text or not value.endswith("]")
    if isinstance(value, float):
        return not (value == 0 and math.copysign(1, value) < 0) and "e" not in repr(value)
    if isinstance(value, (list, dict)):
        items = value.values() if isinstance(value, dict) else value
        return all(_survives(item, is_text=is_text) for item in items)
    return value is None or packable(value) == value


def _default(spec: ParamSpec) -> tuple[Any, bool]:
    """A default as a person reads it, where it arrives as that or but for the order of an object; and else, that it is
    a text."""
    value = sent(spec.default, spec.type)
    if value != packable(spec.default):
        return value, True
    return value if "$dict" in json.dumps(value) else plain(value), False


def params(specs: tuple[ParamSpec, ...], *, exact: bool) -> pysource.Code:
    """The dictionary of the parameters that a person may give.

    Args:
        exact: whether runs are submitted by turnout, whose values may come as texts in an object.
    """
    lines = ["{"]
    for spec in specs:
        default, is_text = _default(spec)
        given = [] if spec.required else [default]
        large = packable(spec.default) != spec.default
        described: dict[str, Any] = schema(spec.type, exact=exact or is_text, large=large)
        if spec.doc:
            described["description"] = spec.doc
        param = pysource.call(f"{pysource.literal(spec.name)}: Param", *given, **described)
        lines.append(f"        {pysource.laid(param, ',', 8)}")
    return pysource.Code("\n".join([*lines, "    }"]))


def schema(type_: ParamType, *, exact: bool = False, large: bool = False) -> dict[str, Any]:
    """The JSON Schema of a parameter's type, as far as Airflow's form can use it.

    Args:
        exact: whether a value may also come as a text in an object.
        large: whether a whole number may also come as a text, as those of more than 64 bits do.
    """
    names = list(_TYPES.get(type_.kind, ()))
    large = large or exact or packable(type_.choices) != list(type_.choices)
    if type_.kind == "int" and large:
        names.append("string")
    if exact and type_.kind in {"float", "datetime", "list"} and not type_.choices:
        names.append("object")
    if not names:  # any value of JSON
        return {}
    found: dict[str, Any] = {}
    if type_.choices:
        found["enum"] = [*map(packable, type_.choices), *([None] if type_.optional else [])]
    if type_.optional:
        names = ["null", *names]
    found["type"] = names[0] if len(names) == 1 else names
    if type_.kind == "int" and large and not type_.choices:
        found["pattern"] = r"^\s*[+-]?[0-9]+\s*$"
    if type_.kind in {"datetime", "date"}:
        found["format"] = {"datetime": "date-time", "date": "date"}[type_.kind]
    if type_.kind == "list" and type_.items:
        if type_.sequence == "fixed":
            found["prefixItems"] = [schema(item, large=large) for item in type_.items]
        else:
            found["items"] = schema(type_.items[0], large=large)
    if type_.kind == "dict" and type_.items and not exact:
        found["additionalProperties"] = schema(type_.items[0], large=large)
    return found
