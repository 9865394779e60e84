"""The endpoint described: its OpenAPI document, and a page with a form to try it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from turnout.model.endpoint import Column, EndpointPlan, Request
from turnout.model.types import ParamType

_JSON_TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "list": "array",
    "dict": "object",
}
_FORMATS = {"datetime": "date-time", "date": "date", "timedelta": "duration"}


def openapi(plan: EndpointPlan, max_rows: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an endpoint."""
    properties = {request.name: _schema(request, max_rows) for request in plan.requests}
    body = {
        "type": "object",
        "properties": properties,
        "required": [request.name for request in plan.requests if request.required],
        "additionalProperties": False,
    }
    answer: dict[str, Any] = {"predictions": {"type": "array"}} if plan.table is not None else {"prediction": {}}
    error = {
        "type": "object",
        "properties": {
            "error": {"type": "object", "properties": {"what": {"type": "string"}, "where": {"type": "string"}}}
        },
        "required": ["error"],
    }
    refused = {str(code): _response(text, error) for code, text in _REFUSALS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": plan.name, "version": plan.digest[:12], "description": plan.doc},
        "paths": {
            "/predict": {
                "post": {
                    "summary": f"What {plan.name} answers, a value for each row"
                    if plan.table is not None
                    else f"What {plan.name} answers",
                    "operationId": "predict",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                    "responses": {
                        "200": _response(
                            "The answer.",
                            {"type": "object", "properties": answer, "required": list(answer)},
                        ),
                        **refused,
                    },
                }
            }
        },
    }


_REFUSALS = {
    400: "The body is not JSON.",
    413: "Too many rows, or too many bytes.",
    422: "A column, a type or a value is wrong: where, and what.",
    500: "A step failed.",
}


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _schema(request: Request, max_rows: int) -> dict[str, Any]:
    told = {"description": request.doc} if request.doc else {}
    if request.value is not None:
        default = {} if request.required else {"default": request.default}
        return {**_of_param(request.value), **default, **told}
    row: dict[str, Any] = {"type": "object"}
    if request.columns is not None:
        row["properties"] = {column.name: _of_column(column) for column in request.columns}
        row["required"] = [column.name for column in request.columns]
        row["additionalProperties"] = False
    return {"type": "array", "items": row, "maxItems": max_rows, **told}


def _of_param(type_: ParamType) -> dict[str, Any]:
    if type_.choices:
        return {"enum": [*type_.choices, *([None] if type_.optional else [])]}
    if type_.kind in _FORMATS:
        schema: dict[str, Any] = {"type": "string", "format": _FORMATS[type_.kind]}
    elif type_.kind in _JSON_TYPES:
        schema = {"type": _JSON_TYPES[type_.kind]}
    else:
        return {}
    return {**schema, "type": [schema["type"], "null"]} if type_.optional else schema


def _of_column(column: Column) -> dict[str, Any]:
    kind = column.type.partition("<")[0].partition("[")[0].partition("(")[0]
    schema: dict[str, Any]
    if kind.startswith(("int", "uint")):
        bits, signed = int(kind.removeprefix("u")[3:]), not kind.startswith("u")
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        schema = {"type": "integer", "minimum": low, "maximum": high}
    else:
        schema = {
            "double": {"type": "number"}, "float": {"type": "number"}, "halffloat": {"type": "number"},
            "bool": {"type": "boolean"}, "timestamp": {"type": "string", "format": "date-time"},
            "date32": {"type": "string", "format": "date"}, "date64": {"type": "string", "format": "date"},
            "time32": {"type": "string", "format": "time"}, "time64": {"type": "string", "format": "time"},
            "duration": {"type": "string", "format": "duration"}, "list": {"type": "array"},
            "large_list": {"type": "array"}, "struct": {"type": "object"}, "null": {"type": "null"},
            "string": {"type": "string"}, "large_string": {"type": "string"}, "string_view": {"type": "string"},
            "binary": {"type": "string", "contentEncoding": "base64"}, "dictionary": {},
        }.get(kind, {"type": "string"})  # fmt: skip
    if column.nullable and "type" in schema and schema["type"] != "null":
        schema = {**schema, "type": [schema["type"], "null"]}
    return {**schema, "description": column.type}


def example(document: dict[str, Any]) -> dict[str, Any]:
    """A body that fits the document: one row, each value the simplest of its type."""
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {name: _example(schema) for name, schema in body["properties"].items()}


def _example(schema: dict[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        items = schema.get("items", {})
        return [_example(items)] if items.get("properties") else []
    if kind == "object":
        return {name: _example(one) for name, one in schema.get("properties", {}).items()}
    texts = {"date-time": "2026-01-31T12:00:00", "date": "2026-01-31", "time": "12:00:00", "duration": "PT1H"}
    if schema.get("description", "").startswith("timestamp[") and "tz=" in schema["description"]:
        texts["date-time"] += "Z"
    return {"integer": 0, "number": 0.0, "boolean": False, "null": None}.get(
        kind, texts.get(schema.get("format", ""), "")
    )


def page(document: dict[str, Any]) -> str:
    """A page that describes an endpoint and tries it; it loads nothing from elsewhere."""
    info = document["info"]
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    rows = "".join(_table_row(name, schema) for name, schema in body["properties"].items())
    return _PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        doc=escape(info["description"]),
        rows=rows,
        example=escape(json.dumps(example(document), indent=2, ensure_ascii=False)),
    )


def _table_row(name: str, schema: dict[str, Any]) -> str:
    columns = schema.get("items", {}).get("properties")
    if columns is None:
        return f"<tr><td><code>{escape(name)}</code></td><td>{escape(str(schema.get('type', 'any')))}</td></tr>"
    return "".join(
        f"<tr><td><code>{escape(f'{name}[].{column}')}</code></td><td>{escape(one.get('description', 'any'))}</td></tr>"
        for column, one in columns.items()
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a; }}
h1 small {{ font-weight: normal; color: #666; }}
textarea, pre {{ width: 100%; box-sizing: border-box; font: 14px/1.4 ui-monospace, monospace; }}
textarea {{ min-height: 14rem; }}
pre {{ background: #f4f4f4; padding: 1rem; overflow: auto; white-space: pre-wrap; }}
td {{ padding: .15rem 1.5rem .15rem 0; vertical-align: top; }}
</style></head><body>
<h1>{title} <small>version {version}</small></h1>
<p style="white-space: pre-wrap">{doc}</p>
<h2>Takes</h2>
<table>{rows}</table>
<h2>Try it</h2>
<form id="form"><textarea id="body" aria-label="The body of the request" spellcheck="false">{example}</textarea>
<p><button>POST /predict</button></p></form>
<pre id="answer" aria-live="polite"></pre>
<p><a href="openapi.json">openapi.json</a> · <a href="metrics">metrics</a></p>
<script>
document.getElementById("form").addEventListener("submit", async (event) => {{
  event.preventDefault();
  const answer = document.getElementById("answer");
  try {{
    const response = await fetch("predict", {{
      method: "POST", headers: {{"content-type": "application/json"}}, body: document.getElementById("body").value,
    }});
    answer.textContent = response.status + " " + JSON.stringify(await response.json(), null, 2);
  }} catch (error) {{ answer.textContent = String(error); }}
}});
</script></body></html>
"""
