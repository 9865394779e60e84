"""What can be wrong with a stack beyond the types of its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, TurnoutError, did_you_mean
from turnout.components.orchestrator import Orchestrator
from turnout.model.capability import Capability
from turnout.stack import addresses
from turnout.stack.bind import Bound
from turnout.stack.loader import Node


def not_to_accept(accept: Node | None) -> Iterator[TurnoutError]:
    """What cannot be accepted, as nothing is called so."""
    names = [capability.value for capability in Capability]
    for item in accept.value if accept else ():
        if item.value not in names:
            yield ConfigError(
                f"nothing called {item.value!r} can be accepted. {did_you_mean(item.value, names)}".rstrip(" ."),
                where=item.at,
                fix=f"accept one of: {', '.join(names)}",
            )


def options_of(component: type[Orchestrator[Any]]) -> dict[str, str]:
    """The options of single steps and pipelines, each with what to write for it."""
    fixes: dict[str, str] = {}
    for options, section in ((component.pipeline_options, "pipelines"), (component.options, "steps")):
        for field in msgspec.structs.fields(options) if options is not None else ():
            name = field.encode_name
            fixes[name] = f'it is an option of {section}: {section}: {{"*": {{{component.name}: {{{name}: …}}}}}}'
    return fixes


def no_addresses(config: type[Any], bound: Bound, settings: Node, owner: str) -> list[TurnoutError]:
    """What is wrong with the addresses among settings."""
    return [
        ConfigError(
            f"the setting {name!r} of {owner} is no address: {reason}",
            where=settings.value[name].at,
            fix="mend the address",
        )
        for name, reason in addresses.faults(config, bound.values).items()
    ]
