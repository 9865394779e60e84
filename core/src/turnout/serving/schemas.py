"""JSON Schemas of what an endpoint takes: columns of a table, and parameters, as their converters take them."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

from turnout.model.endpoint_plan import Request
from turnout.model.types import ParamType
from turnout.serving.columns import BASE64, DAY, DECIMAL, DURATION, FLOATS, MOMENT, OFFSET, SPECIAL, TIME, integers
from turnout.serving.tables import categories, table_of

Schema = dict[str, Any]
MOST = 1000
"""Of how many categories each is named."""


def of_request(request: Request, max_rows: int) -> Schema:
    """The schema of one parameter of an endpoint: a list of rows, or a value."""
    told = {"description": request.doc} if request.doc else {}
    if request.value is not None:
        default = {} if request.required else {"default": request.default}
        return {**of_param(request.value), **default, **told}
    return {"type": "array", "items": _row(request), "maxItems": max_rows, **told}


def _row(request: Request) -> Schema:
    if not request.prototype:
        return {"type": "object"}
    nullable = {column.name: column.nullable for column in request.columns or ()}
    values = categories(request)
    columns = {
        field.name: of_column(field.type, nullable=nullable[field.name], values=values.get(field.name))
        for field in table_of(request).schema
    }
    return {"type": "object", "properties": columns, "required": list(columns), "additionalProperties": False}


def of_column(type_: Any, *, nullable: bool, values: list[Any] | None = None) -> Schema:
    """The schema of a value of an Arrow type; *values* are a column's categories."""
    schema = _of_arrow(type_, values)
    if nullable and schema:
        schema = _or_null(schema)
    return {**schema, "description": str(type_)}


def _or_null(schema: Schema) -> Schema:
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        return {**schema, "type": [*([one] if isinstance(one := schema["type"], str) else one), "null"]}
    return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}


def _of_arrow(type_: Any, values: list[Any] | None) -> Schema:
    import pyarrow.types as of

    if of.is_dictionary(type_):
        if values is not None and len(values) <= MOST and all(isinstance(one, (str, int, float)) for one in values):
            return {"enum": [one for one in values if one == one]}  # noqa: PLR0124 - not NaN
        return _of_arrow(type_.value_type, None)
    if of.is_integer(type_):
        low, high = integers(type_)
        return {"type": "integer", "minimum": low, "maximum": high}
    if of.is_floating(type_):
        most = FLOATS[type_.bit_width]
        return {"anyOf": [{"type": "number", "minimum": -most, "maximum": most}, {"enum": list(SPECIAL)}]}
    if of.is_list(type_) or of.is_large_list(type_) or of.is_fixed_size_list(type_):
        length = getattr(type_, "list_size", None)
        sizes = {} if length is None else {"minItems": length, "maxItems": length}
        return {"type": "array", "items": of_column(type_.value_type, nullable=True), **sizes}
    if of.is_struct(type_):
        fields = [type_.field(n) for n in range(type_.num_fields)]
        inner = {field.name: of_column(field.type, nullable=True) for field in fields}
        return {"type": "object", "properties": inner, "additionalProperties": False}
    if of.is_map(type_):
        pair = [of_column(type_.key_type, nullable=False), of_column(type_.item_type, nullable=True)]
        items = {"type": "array", "prefixItems": pair, "minItems": 2, "maxItems": 2}
        return {"type": "array", "items": items}
    return _of_scalar(type_)


def _of_scalar(type_: Any) -> Schema:
    import pyarrow.types as of

    if of.is_timestamp(type_):
        suffix, example = (OFFSET, "2026-01-31T12:00:00Z") if type_.tz else ("", "2026-01-31T12:00:00")
        return _text(f"{MOMENT}{suffix}", example)
    if of.is_decimal(type_):
        return {**_text(DECIMAL, "0"), "type": ["string", "integer"]}
    if of.is_fixed_size_binary(type_):
        whole, rest = divmod(type_.byte_width, 3)
        pattern = f"({BASE64}{{4}}){{{whole}}}" + ("", f"{BASE64}{{2}}==", f"{BASE64}{{3}}=")[rest]
        return {**_text(pattern, b64encode(bytes(type_.byte_width)).decode()), "contentEncoding": "base64"}
    base64 = {**_text(f"({BASE64}{{4}})*({BASE64}{{2}}==|{BASE64}{{3}}=)?", ""), "contentEncoding": "base64"}
    kinds: list[tuple[Any, Schema]] = [
        (of.is_boolean, {"type": "boolean"}),
        (of.is_date, {**_text(DAY, "2026-01-31"), "format": "date"}),
        (of.is_time, _text(TIME, "12:00:00")),
        (of.is_duration, _text(DURATION, "PT1H30M")),
        (of.is_null, {"type": "null"}),
        (of.is_binary, base64),
        (of.is_large_binary, base64),
        (of.is_string, {"type": "string"}),
        (of.is_large_string, {"type": "string"}),
        (getattr(of, "is_string_view", of.is_string), {"type": "string"}),
    ]
    return next((schema for is_kind, schema in kinds if is_kind(type_)), {})


def _text(pattern: str, example: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$", "examples": [example]}


_KINDS: dict[str, Schema] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "datetime": {"type": "string", "examples": ["2026-01-31T12:00:00Z"]},
    "date": {**_text(DAY, "2026-01-31"), "format": "date"},
    "timedelta": {"type": ["number", "string"], "examples": [60]},
    "list": {"type": "array"},
    "dict": {"type": "object"},
}


def of_param(type_: ParamType) -> Schema:
    """The schema of a value of a parameter's type, with what its bounds demand."""
    if type_.choices:
        return {"enum": [*type_.choices, *([None] if type_.optional else [])]}
    schema = dict(_KINDS.get(type_.kind, {}))
    if type_.kind == "list" and type_.sequence == "fixed":
        count = len(type_.items)
        schema |= {"prefixItems": [of_param(item) for item in type_.items], "minItems": count, "maxItems": count}
    elif type_.kind == "list" and type_.items:
        schema["items"] = of_param(type_.items[0])
    elif type_.kind == "dict" and type_.fields:
        schema |= {
            "properties": {field.name: of_param(field.type) for field in type_.fields},
            "required": [field.name for field in type_.fields if field.required],
            "additionalProperties": False,
        }
    elif type_.kind == "dict" and type_.items:
        schema["additionalProperties"] = of_param(type_.items[0])
    schema |= _bounds(type_)
    return _or_null(schema) if type_.optional and "type" in schema else schema


def _bounds(type_: ParamType) -> Schema:
    bounds, noun = type_.bounds, {"list": "Items", "dict": "Properties"}.get(type_.kind, "Length")
    limits = {
        "exclusiveMinimum": bounds.gt,
        "minimum": bounds.ge,
        "exclusiveMaximum": bounds.lt,
        "maximum": bounds.le,
        "multipleOf": bounds.multiple_of,
        f"min{noun}": bounds.min_length,
        f"max{noun}": bounds.max_length,
        "pattern": bounds.pattern,
    }
    return {name: limit for name, limit in limits.items() if limit is not None and limit not in {math.inf, -math.inf}}


def example(schema: Schema) -> Any:
    """A value that fits a schema, mostly the simplest one."""
    if "default" in schema:
        return schema["default"]
    for one in ("examples", "enum"):
        if schema.get(one):
            return schema[one][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        items = schema.get("items", {})
        return [example(items)] if items.get("properties") else [example(one) for one in schema.get("prefixItems", ())]
    if kind == "object":
        return {name: example(one) for name, one in schema.get("properties", {}).items()}
    least = schema.get("minimum", 0) if kind in {"integer", "number"} else 0
    return {"integer": max(0, least), "number": max(0.0, least), "boolean": False, "null": None}.get(kind, "")
