"""Run-time parameters as Airflow's own: typed, described, and checked before a run starts."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import ParamSpec, ParamType
from turnout_airflow.source import Code, arguments, call, literal

_SMALL = 2**63
_TYPES: dict[str, list[str]] = {
    "int": ["integer", "string"],  # a text where it has more than 64 bits
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


def params(specs: tuple[ParamSpec, ...]) -> Code:
    """The dictionary of the parameters that are not times which Airflow itself gives."""
    lines = ["{"]
    for spec in specs:
        if spec.source != "value":
            continue
        given = [] if spec.required else [literal(packable(spec.default))]
        described: dict[str, Any] = schema(spec.type)
        if spec.doc:
            described["description"] = spec.doc
        made = call(f"{literal(spec.name)}: Param", [*given, *arguments(described)], 8, ",")
        lines.append(f"        {made}")
    return Code("\n".join([*lines, "    }"]))


def schema(type_: ParamType) -> dict[str, Any]:
    """The JSON Schema of a parameter's type, as far as Airflow's form can use it."""
    names = list(_TYPES.get(type_.kind, ()))
    if not names:  # any value of JSON
        return {}
    found: dict[str, Any] = {}
    if type_.choices:
        found["enum"] = [*map(packable, type_.choices), *([None] if type_.optional else [])]
    if type_.optional:
        names = ["null", *names]
    found["type"] = names[0] if len(names) == 1 else names
    if type_.kind == "int" and not type_.choices:
        found["pattern"] = r"^\s*[+-]?[0-9]+\s*$"
    if type_.kind in {"datetime", "date"}:
        found["format"] = {"datetime": "date-time", "date": "date"}[type_.kind]
    if type_.kind == "list" and type_.items:
        found["items"] = schema(type_.items[0])
    if type_.kind == "dict" and type_.items:
        found["additionalProperties"] = schema(type_.items[0])
    return found
