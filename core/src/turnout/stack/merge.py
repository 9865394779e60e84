"""Stacks that extend one another, merged into one document.

Components: of the same ``type`` the keys merge, another ``type`` replaces; lists replace, but the policies of a base
stay. Steps and pipelines merge by their key; a pattern that a child names again counts where the child names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from turnout.base.credentials import in_clear
from turnout.base.errors import ConfigError, TurnoutError, did_you_mean
from turnout.components.kinds import ARTIFACT_STORE, KINDS
from turnout.project.project import Project
from turnout.stack import loader
from turnout.stack.bind import raise_config_errors
from turnout.stack.loader import Node, describe
from turnout.stack.location import Source, builtin_stack, extended

COMPONENTS = {kind.section: kind for kind in KINDS if kind.section and not kind.many}
"""The sections that choose one component, each with its kind."""
LISTS = {kind.section: kind for kind in KINDS if kind.many}
"""The sections that choose any number of components, each with their kind."""
SECTIONS = ("extends", *COMPONENTS, *LISTS, "steps", "pipelines", "accept", "environment")

TypeOf = Callable[[str, Node], "str | None"]
"""The type that a component's node stands for, where it says so itself: by ``type``, or a store's by its URL."""


class Chain(msgspec.Struct, frozen=True):
    """The files of a stack, the one that is meant first, and the document they merge to."""

    sources: tuple[Source, ...]
    document: Node


def merged(source: Source, project: Project, type_of: TypeOf, malformed: list[TurnoutError] | None = None) -> Chain:
    """Read a stack file and those it extends, and merge them.

    Args:
        malformed: takes what is wrong with the shape of sections, which then are left out, in place of raising it;
            likewise a stack that is extended and not there, which the built-in one then stands in for.

    Raises:
        ConfigError: when a file is missing or malformed, or they extend each other in a circle.
    """
    sources = [source]
    documents = [_read(source, malformed)]
    while (base := documents[-1].get("extends")) is not None:
        try:
            extended_source = extended(base.value, sources[-1], base.at, project)
        except ConfigError as error:
            if malformed is None:
                raise
            malformed.append(error)
            extended_source = builtin_stack()
        for number, earlier in enumerate(sources):
            if extended_source.path.samefile(earlier.path):
                circle = " → ".join(link.label for link in (*sources[number:], extended_source))
                raise ConfigError(f"stacks extend each other: {circle}", where=base.at, fix="take one `extends` out")
        sources.append(extended_source)
        documents.append(_read(extended_source, malformed))
    document = documents.pop().without("extends")
    while documents:
        document = combine(document, documents.pop().without("extends"), type_of)
    return Chain(tuple(sources), document)


def _read(source: Source, malformed: list[TurnoutError] | None) -> Node:
    document = loader.read(source.read(), source.label)
    errors: list[TurnoutError] = []
    bad = []
    if document.value and not any(key in SECTIONS for key in document.value) and len(document.value) > 1:
        raise ConfigError(
            f"this is no stack file of turnout: it has none of its sections, but {', '.join(map(str, document.value))}",
            where=document.at,
            fix=f"the sections are {', '.join(SECTIONS)}; `turnout stack new local` writes a stack",
        )
    for key, node in document.value.items():
        before = len(errors)
        if key not in SECTIONS:
            hint = did_you_mean(key, SECTIONS)
            fix = None if hint else f"the sections are {', '.join(SECTIONS)}"
            errors.append(ConfigError(f"unknown section {key!r}. {hint}".rstrip(". "), where=node.at, fix=fix))
        else:
            errors.extend(_malformed(key, node))
        if len(errors) > before:
            bad.append(key)
    if malformed is None:
        raise_config_errors(f"the stack {source.label} is malformed", errors)
        return document
    malformed.extend(errors)
    return document.without(*bad)


def _malformed(key: str, node: Node) -> list[TurnoutError]:
    """What is wrong with the shape of a section."""

    def wrong(expected: str, actual: Node, fix: str) -> list[TurnoutError]:
        return [ConfigError(f"{key} must be {expected}, not {describe(actual.value)}", where=actual.at, fix=fix)]

    if key == "extends":
        return [] if isinstance(node.value, str) else wrong("text", node, "write the name of one stack")
    if key in COMPONENTS:
        fix = f"write `{key}: {_as_mapping(key, node.value)}`"
        if not isinstance(node.value, dict):
            return wrong("a mapping", node, fix)
        kind = node.get("type")
        return [] if kind is None or isinstance(kind.value, str) else wrong("a mapping with a type", kind, fix)
    if key in {"steps", "pipelines", "environment"}:
        if not isinstance(node.value, dict):
            return wrong("a mapping", node, f"write `{key}: {{name: {{…}}}}`")
        blocks = node.value.values() if key != "environment" else ()
        bad = [block for block in blocks if not isinstance(block.value, dict)]
        return [error for block in bad for error in wrong("a mapping of mappings", block, "write settings in braces")]
    if not isinstance(node.value, tuple):
        return wrong("a list", node, "put it into brackets")
    if key == "accept":
        bad = [item for item in node.value if not isinstance(item.value, str)]
        return [error for item in bad for error in wrong("a list of names", item, "name capabilities, such as gpu")]
    bad = [item for item in node.value if item.get("type") is None or not isinstance(item.value["type"].value, str)]
    return [error for item in bad for error in wrong("a list of mappings with a type", item, "write `{type: …}`")]


def _as_mapping(section: str, value: object) -> str:
    """What a text in the place of a section's mapping stands for: a type, or the root of an artifact store."""
    if not isinstance(value, str) or not value or any(in_clear(value)):
        return "{type: …}"
    if section == ARTIFACT_STORE.section and re.search(r"[/.]", value):
        return f"{{root: {json.dumps(value, ensure_ascii=False)}}}"
    return f"{{type: {value}}}" if re.fullmatch(r"[\w-]+", value) else "{type: …}"


def combine(base: Node, child: Node, type_of: TypeOf) -> Node:
    """One document merged over another."""
    result = dict(base.value)
    for key, node in child.value.items():
        under = result.get(key)
        if under is None:
            result[key] = node
        elif key in COMPONENTS:
            result[key] = _component(under, node, key, type_of)
        elif key == "policies":
            result[key] = _added(under, node)
        elif key in {"steps", "pipelines"}:
            result[key] = _by_pattern(under, node)
        elif key == "environment":
            result[key] = _deep(under, node)
        else:
            result[key] = node
    return Node(result, child.at)


def _component(base: Node, child: Node, section: str, type_of: TypeOf) -> Node:
    own_type = type_of(section, child)
    if own_type is None or own_type == type_of(section, base):
        return _deep(base, child)
    return child


def _added(base: Node, child: Node) -> Node:
    own = [node for node in child.value if node.plain() not in [known.plain() for known in base.value]]
    return Node((*base.value, *own), child.at)


def _by_pattern(base: Node, child: Node) -> Node:
    blocks = {pattern: block for pattern, block in base.value.items() if pattern not in child.value}
    for pattern, block in child.value.items():
        under = base.get(pattern)
        blocks[pattern] = block if under is None else _deep(under, block)
    return Node(blocks, child.at)


def _deep(base: Node, child: Node) -> Node:
    """Merge mappings at every level; anything else replaces."""
    if not (isinstance(base.value, dict) and isinstance(child.value, dict)):
        return child
    entries = dict(base.value)
    for key, node in child.value.items():
        entries[key] = _deep(entries[key], node) if key in entries else node
    return Node(entries, child.at)
