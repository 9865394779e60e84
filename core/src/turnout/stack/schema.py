"""The JSON Schema of stack files, for editors: from the config structs of the components there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from turnout.components.kinds import ORCHESTRATOR
from turnout.components.registry import Registry
from turnout.stack.merge import COMPONENTS, LISTS
from turnout.stack.overrides import PipelineSettings, StepSettings
from turnout.stack.stack import EnvironmentSettings

_REFERENCE = {"type": "string", "pattern": r"\$\{(env|worker-env|secret):"}


def json_schema(registry: Registry) -> dict[str, Any]:
    """The schema (draft 2020-12). A setting of any type may also be a reference such as ``${env:PORT}``."""
    structs: list[type[Any]] = [StepSettings, PipelineSettings, EnvironmentSettings]
    for kind in (*COMPONENTS.values(), *LISTS.values()):
        structs.extend(component.Config for component in registry.all(kind))
    for orchestrator in registry.all(ORCHESTRATOR):
        structs.extend(s for s in (orchestrator.options, orchestrator.pipeline_options) if s is not None)
    unique = list(dict.fromkeys(structs))
    schemas, definitions = msgspec.json.schema_components(unique, ref_template="#/$defs/{name}")
    refs = dict(zip(unique, schemas, strict=True))

    def fields(struct: type[Any]) -> dict[str, Any]:
        """The properties of a struct, each also as a reference."""
        described: dict[str, Any] = refs[struct]
        while "$ref" in described:
            described = definitions[described["$ref"].rpartition("/")[2]]
        return {name: _or_reference(schema) for name, schema in described["properties"].items()}

    properties: dict[str, Any] = {"extends": {"type": "string", "description": "The stack this one changes."}}
    for section, kind in COMPONENTS.items():
        properties[section] = _component(registry, kind, fields)
    for section, kind in LISTS.items():
        properties[section] = {"type": "array", "items": {**_component(registry, kind, fields), "required": ["type"]}}
    for section, struct, attribute in (
        ("steps", StepSettings, "options"),
        ("pipelines", PipelineSettings, "pipeline_options"),
    ):
        engines = dict(_engines(registry, attribute, fields))
        properties[section] = {"type": "object", "additionalProperties": _object({**fields(struct), **engines})}
    properties["accept"] = {"type": "array", "items": {"type": "string"}}
    properties["environment"] = _object(fields(EnvironmentSettings))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "turnout stack",
        **_object(properties),
        "$defs": definitions,
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and "enum" not in schema:
        return schema
    described: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    return {**described, "anyOf": [schema, _REFERENCE]}


def _component(registry: Registry, kind: str, fields: Callable[[type[Any]], dict[str, Any]]) -> dict[str, Any]:
    """A component's mapping; which settings it has depends on its type, unless that is inherited."""
    branches = []
    for component in registry.all(kind):
        settings = {"type": {"const": component.name}, **fields(component.Config)}
        if kind == ORCHESTRATOR:
            settings.setdefault("instance", {"type": "string", "description": "Part of every run id."})
        of_its_type = {"properties": {"type": {"const": component.name}}, "required": ["type"]}
        branches.append({"if": of_its_type, "then": _object(settings)})
    schema: dict[str, Any] = {"type": "object", "properties": {"type": {"enum": list(registry.names(kind))}}}
    return {**schema, "allOf": branches} if branches else schema


def _engines(
    registry: Registry, attribute: str, fields: Callable[[type[Any]], dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for orchestrator in registry.all(ORCHESTRATOR):
        struct = getattr(orchestrator, attribute)
        if struct is not None:
            yield orchestrator.name, _object(fields(struct))
