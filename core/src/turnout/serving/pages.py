"""The endpoint described: its OpenAPI document, and a page with a form to try it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from turnout.model.endpoint_plan import EndpointPlan
from turnout.serving.schemas import example, of_request

JSON = "application/json"
_REFUSALS = {
    400: "The body is not JSON, or no request.",
    408: "The request did not come in time.",
    413: "Too many rows, or too many bytes.",
    421: "The Host header names nobody that is served here.",
    422: "A column, a type or a value is wrong: where, and what.",
    500: "A step failed.",
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"what": {"type": "string"}, "where": {"type": "string"}},
            "required": ["what"],
        }
    },
    "required": ["error"],
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
    },
    "required": ["name", "shape", "data"],
}


def openapi(plan: EndpointPlan, max_rows: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an endpoint."""
    model = f"/v2/models/{plan.name}"
    by_row = plan.table is not None
    answer: dict[str, Any] = {"predictions": {"type": "array"}} if by_row else {"prediction": {}}
    predictions = {"type": "object", "properties": answer, "required": list(answer)}
    summary = f"What {plan.name} answers" + (", a value for each row" if by_row else "")
    inferred = {
        "type": "object",
        "properties": {
            "model_name": {"const": plan.name},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": {**_TENSOR, "required": list(_TENSOR["properties"])}},
            "id": {"type": "string"},
        },
        "required": ["model_name", "model_version", "outputs"],
    }
    inputs = {"type": "object", "properties": {"inputs": {"type": "array", "items": _TENSOR}}, "required": ["inputs"]}
    anything = {"type": "object"}
    return {
        "openapi": "3.1.0",
        "info": {"title": plan.name, "version": plan.digest[:12], "description": plan.doc},
        "paths": {
            "/predict": _post("predict", summary, _body(plan, max_rows), predictions),
            f"{model}/infer": _post("infer", "The same by the Open Inference Protocol", inputs, inferred),
            model: _get("metadata", "What the Open Inference Protocol tells of the endpoint", anything),
            "/v2": _get("server", "What the Open Inference Protocol tells of the server", anything),
            "/health/live": _get("live", "Whether it runs", anything),
            "/health/ready": _get("ready", "Whether it answers", anything),
            "/metrics": _get("metrics", "For Prometheus", {"type": "string"}, "text/plain"),
        },
    }


def _body(plan: EndpointPlan, max_rows: int) -> dict[str, Any]:
    schemas = {request.name: of_request(request, max_rows) for request in plan.requests}
    required = [request.name for request in plan.requests if request.required]
    whole = {"type": "object", "properties": schemas, "required": required, "additionalProperties": False}
    if plan.table is None or required not in ([], [plan.table.name]):
        return whole
    return {"anyOf": [whole, schemas[plan.table.name]]}  # the rows alone do, too


def _post(name: str, summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    refused = {str(code): _response(text, _ERROR) for code, text in _REFUSALS.items()}
    return {
        "post": {
            "summary": summary,
            "operationId": name,
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {"200": _response("The answer.", answer), **refused},
        }
    }


def _get(name: str, summary: str, answer: dict[str, Any], media: str = JSON) -> dict[str, Any]:
    responses = {"200": _response(summary, answer, media), "421": _response(_REFUSALS[421], _ERROR)}
    return {"get": {"summary": summary, "operationId": name, "responses": responses}}


def _response(text: str, schema: dict[str, Any], media: str = JSON) -> dict[str, Any]:
    return {"description": text, "content": {media: {"schema": schema}}}


def _taken(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the endpoint's parameters."""
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]["schema"]
    properties: dict[str, Any] = body.get("anyOf", [body])[0]["properties"]
    return properties


def page(document: dict[str, Any]) -> str:
    """A page that describes an endpoint and tries it; it loads nothing from elsewhere."""
    info = document["info"]
    taken = _taken(document)
    rows = "".join(_table_row(name, schema) for name, schema in taken.items())
    body = {name: example(schema) for name, schema in taken.items()}
    return _PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        doc=escape(info["description"]),
        rows=rows,
        example=escape(json.dumps(body, indent=2, ensure_ascii=False)),
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
