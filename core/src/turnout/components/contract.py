"""What a component must be for a stack to use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.components.kinds import KINDS

if TYPE_CHECKING:
    from turnout.components.lazy import Lazy

_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_PLACE = re.compile(r"\w+(\.\w+)*:\w+\Z")


def lazy_fault(given: Lazy) -> str | None:
    """Why something that a plugin has left for later can never be imported, or None."""
    if not _TYPE_NAME.match(given.name):
        return f"{given} has no usable name"
    return None if _PLACE.match(given.place) else f"{given} names no place: module:Class"


def misnamed(given: Lazy, component: Any) -> str | None:
    """Why what was imported is not what its hook said, or None."""
    if component.name == given.name:
        return None
    return f"{given.place} has the name {component.name!r}, and its hook says {given.name!r}"


def fault_of(kind: str, component: Any) -> str | None:
    """Why something that a hook gave cannot be used, or None."""
    name = getattr(component, "name", None)
    base = next(declared for declared in KINDS if declared == kind).base
    if base is None:
        import click

        if not isinstance(component, click.Command):
            return f"{component!r} is not a click command"
    else:
        if not (isinstance(component, type) and issubclass(component, base)):
            return f"{_named(component)} is not a subclass of turnout.plugin_api.{base.__name__}"
        missing = sorted(getattr(component, "__abstractmethods__", ()))
        if missing:
            return f"{_named(component)} does not implement {', '.join(missing)}"
    if not isinstance(name, str) or not _TYPE_NAME.match(name):
        return f"{_named(component)} has no usable name: {name!r}"
    return _config_fault(component) if base is not None and hasattr(base, "Config") else None


def _config_fault(component: Any) -> str | None:
    from turnout.components.base import Config

    config = getattr(component, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Config)):
        return f"{_named(component)}.Config is not a subclass of turnout.plugin_api.Config"
    try:
        msgspec.inspect.type_info(config)
    except (TypeError, NameError) as error:
        return f"{_named(component)}.Config has a field of a type that settings cannot have: {error}"
    return None


def _named(component: Any) -> str:
    if isinstance(component, type):
        return f"{component.__module__}.{component.__qualname__}"
    return repr(component)
