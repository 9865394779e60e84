"""Writes docs/settings.md: every setting of a stack file, from the config structs of the components."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

from turnout.components.discovery import GROUP
from turnout.components.registry import Registry
from turnout.model.declared import settings_of
from turnout.model.spec import StepSpec
from turnout.stack.merge import COMPONENTS, LISTS
from turnout.stack.overrides import PipelineSettings, StepSettings
from turnout.stack.stack import EnvironmentSettings

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Every setting of a stack file, and of a step

Made from the code by `make docs`. How stack files are found, merged and checked is told in [stacks.md](stacks.md);
`turnout stack schema` gives the same as a JSON Schema, for editors. Of a setting without a default a value is needed.
"""
NOT_SHIPPED = {"turnout-specimen"}
"""Plugins of the tests."""


def text() -> str:
    """The page's text."""
    found = [entry for entry in entry_points(group=GROUP) if entry.dist and entry.dist.name not in NOT_SHIPPED]
    registry = Registry(sorted(found, key=lambda entry: (entry.name != "turnout", entry.name)))
    return "\n".join([HEAD, *_sections(registry)])


def _sections(registry: Registry) -> Iterator[str]:
    for section, kind in {**COMPONENTS, **LISTS}.items():
        yield f"## `{section}`\n"
        for component in registry.all(kind):
            yield f"### `type: {component.name}`\n"
            yield from _table(component.Config)
    yield "## `steps`\n\nBy the name of a step, or a pattern such as `fit*`; what is left out stays as the step says.\n"
    yield from _table(StepSettings)
    yield from _options(registry, "options")
    yield "## `pipelines`\n\nBy the name of a pipeline.\n"
    yield from _table(PipelineSettings)
    yield from _options(registry, "pipeline_options")
    yield "## `environment`\n"
    yield from _table(EnvironmentSettings)
    yield from _step()


def _step() -> Iterator[str]:
    yield "## `@step`\n\nWhat a step says of itself, and what that asks of its orchestrator.\n"
    yield "| setting | asks for | a stack may change it | |\n|---|---|---|---|"
    for setting in settings_of(StepSpec):
        for part in (setting, *setting.parts):
            name = part.name if part is setting else f"{setting.name}.{part.name}"
            asks = f"`{part.capability.value}`" if part.capability else ""
            if setting.in_python:
                yield f"| `{name}` | {asks} | {'yes' if part.in_stack else 'no'} | {part.about} |"
    yield ""


def _options(registry: Registry, attribute: str) -> Iterator[str]:
    for orchestrator in registry.all("orchestrator"):
        options = getattr(orchestrator, attribute)
        if options is not None:
            yield f"### `{orchestrator.name}:`\n\nUnder this key, for the orchestrator of this type.\n"
            yield from _table(options)


def _table(struct: type[Any]) -> Iterator[str]:
    (schema,), definitions = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    properties = _followed(schema, definitions)["properties"]
    if not properties:
        yield "No settings.\n"
        return
    yield "| setting | type | default | |\n|---|---|---|---|"
    yield from _rows("", properties, _followed(schema, definitions).get("required", ()), definitions)
    yield ""


def _rows(prefix: str, properties: dict[str, Any], required: Any, definitions: dict[str, Any]) -> Iterator[str]:
    for name, given in properties.items():
        found = _followed(given, definitions)
        default = "" if name in required else f"`{_shown(given.get('default'))}`"
        about = " ".join(str(given.get("description", "")).split()).replace("|", "\\|").replace("``", "`")
        yield f"| `{prefix}{name}` | {_type(given, definitions)} | {default} | {about} |"
        if "properties" in found:
            yield from _rows(f"{prefix}{name}.", found["properties"], found.get("required", ()), definitions)


def _followed(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _shown(default: Any) -> str:
    return "none" if default is None else json.dumps(default, ensure_ascii=False)


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    found = _followed(schema, definitions)
    if "enum" in found:
        return ", ".join(f"`{one}`" for one in found["enum"])
    if "anyOf" in found:
        return " or ".join(
            dict.fromkeys(_type(one, definitions) for one in found["anyOf"] if one.get("type") != "null")
        )
    if found.get("type") == "array":
        return f"list of {_type(found.get('items', {}), definitions)}"
    if found.get("type") == "object":
        inner = found.get("additionalProperties")
        return f"mapping to {_type(inner, definitions)}" if isinstance(inner, dict) and inner else "mapping"
    return {"string": "text", "boolean": "true or false"}.get(found.get("type", ""), found.get("type", "anything"))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
