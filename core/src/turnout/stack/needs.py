"""What a stack needs that may be missing: tools, servers that answer, secrets, files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import inspect

from turnout.base.credentials import hidden
from turnout.base.errors import Location, TurnoutError
from turnout.stack import addresses, references, tools
from turnout.stack.bind import Bound, build
from turnout.stack.loader import Node
from turnout.stack.stack import Choice, Stack

Level = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something about a stack: an error makes it unusable, a warning may be right on this machine."""

    level: Level
    what: str
    where: str = ""
    why: str = ""
    fix: str = ""


def missing(stack: Stack, *, connect: bool) -> Iterator[Finding]:
    """What the components of a stack need and do not find here.

    It is an error where the component works on this machine, else a warning: workers may have it.
    """
    for choice, component, bound in stack.bound:
        level = _level(choice, stack)
        yield from _tools(choice, component, bound, level)
        if any(other.section == "secrets" and not settings.waiting for other, _, settings in stack.bound):
            yield from _secrets(choice, stack, level)
        yield from _paths(choice, component, bound, stack, level)
    yield from _wheels(stack)
    if connect:
        yield from _servers(stack)


def _level(choice: Choice, stack: Stack) -> Level:
    on_worker = choice.kind.on_worker
    engines = [component for other, component, _ in stack.bound if other.section == "orchestrator"]
    return "warning" if on_worker and not any(engine.local for engine in engines) else "error"


def _tools(choice: Choice, component: type[Any], bound: Bound, level: Level) -> Iterator[Finding]:
    extra = ""
    if choice.kind == "orchestrator" and not component.local:
        return  # it is asked over a network
    if choice.kind == "artifact_store":
        try:
            extra = component(build(component.Config, bound.unresolved(), choice.owner, choice.at)).extra
        except TurnoutError:  # its settings are wrong, which is said
            return
    for needed, _, command in tools.missing(component, extra):
        what = f"{choice.owner} needs {needed}, which is not installed here"
        why = "" if level == "error" else "workers need it"
        yield Finding(level=level, what=what, where=str(choice.at), why=why, fix=command)


def _secrets(choice: Choice, stack: Stack, level: Level) -> Iterator[Finding]:
    for node, reference in references_of(choice.settings):
        if reference.kind != "secret":
            continue
        try:
            why = "" if stack.secret(reference.name) else f"looked for {stack.where_secret(reference.name)}"
        except TurnoutError as error:
            why = error.what
        except Exception as error:  # a plugin's store may raise anything
            why = f"the secret store failed: {type(error).__name__}"
        if why:
            what = f"the secret {reference.name!r} is not there"
            fix = "create it, or choose another secret store in the stack"
            yield Finding(level=level, what=what, where=str(node.at), why=why, fix=fix)


def _paths(choice: Choice, component: type[Any], bound: Bound, stack: Stack, level: Level) -> Iterator[Finding]:
    for field in msgspec.structs.fields(component.Config):
        info = inspect.type_info(field.type)
        marked = isinstance(info, inspect.Metadata) and (info.extra or {}).get("exists")
        value = bound.values.get(field.encode_name)
        if not marked or not isinstance(value, str) or not value or "://" in value:
            continue
        path = stack.project.root / Path(value).expanduser()
        if not path.exists():
            what = f"{path} is not there, which the setting {field.encode_name!r} of {choice.owner} names"
            place = choice.settings.get(field.encode_name)
            where = str(place.at if place else choice.at)
            yield Finding(level=level, what=what, where=where, fix="create it, or mend the path")


def _wheels(stack: Stack) -> Iterator[Finding]:
    """Folders of wheels that are missing; workers have the project's own, and where others are is theirs to know."""
    places = stack.document.get("environment")
    nodes = places.get("find_links") if places else None
    for link, node in zip(stack.environment.find_links, nodes.value if nodes else (), strict=False):
        path = stack.project.root / Path(link).expanduser()
        if "://" not in link and not path.exists():
            what = f"{path} is not there, which the setting 'find_links' of environment names"
            yield Finding(level="error", what=what, where=str(node.at), fix="create it, or mend the path")


class _Asked(msgspec.Struct, frozen=True):
    """An address in a stack: its kind, the address, which setting of which component it is, and where that stands."""

    kind: str
    address: str
    setting: str
    owner: str
    where: Location
    level: Level


def _servers(stack: Stack) -> Iterator[Finding]:
    asked = [*_addresses(stack), *_indexes(stack)]
    silent = addresses.silent((one.kind, one.address) for one in asked)
    for address in asked:
        if reason := silent.get((address.kind, address.address)):
            yield Finding(
                level=address.level,
                what=f"nobody answers at {hidden(address.address)}, the {address.setting!r} of {address.owner}",
                where=str(address.where),
                why=reason,
                fix="start it, or mend the address",
            )


def _addresses(stack: Stack) -> Iterator[_Asked]:
    for choice, component, bound in stack.bound:
        wrong = addresses.faults(component.Config, bound.values)
        for field in msgspec.structs.fields(component.Config):
            name = field.encode_name
            value = bound.values.get(name)
            kind = addresses.kind_of(field.type)
            if kind and name not in wrong and isinstance(value, str) and value:
                at = place.at if (place := choice.settings.get(name)) else choice.at
                yield _Asked(kind, value, name, choice.owner, at, _level(choice, stack))


def _indexes(stack: Stack) -> Iterator[_Asked]:
    """The package indexes, unless the stack keeps uv from the network; those with a secret are asked by uv only."""
    settings, section = stack.environment, stack.document.get("environment")
    if section is None or settings.offline:
        return
    for name, urls in (("index_url", (settings.index_url,)), ("extra_index_urls", settings.extra_index_urls)):
        node = section.get(name)
        if node is None:
            continue
        for url in urls:
            if not addresses.fault("uri", url):
                yield _Asked("uri", url, name, "environment", node.at, "error")


def references_of(settings: Node) -> Iterator[tuple[Node, references.Reference]]:
    """The references in settings, each with its node; those that cannot be read are told elsewhere."""
    for _, node in settings.leaves():
        if isinstance(node.value, str):
            try:
                parts = references.parse(node.value, node.at)
            except TurnoutError:
                continue
            yield from ((node, part) for part in parts if isinstance(part, references.Reference))
