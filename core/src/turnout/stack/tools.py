"""What a component needs beside its plugin where it works: the requirements of an extra of its distribution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from turnout.components import discovery
from turnout.environment import installed


class Missing(NamedTuple):
    """A requirement that is not met here: what it asks for, the plugin, and the command that installs it."""

    requirement: str
    plugin: str
    command: str


def missing(component: type[Any], extra: str = "") -> Iterator[Missing]:
    """What a component needs and this interpreter lacks.

    Args:
        extra: the extra to look at, where the component's class does not say it.
    """
    extra = extra or component.needed_extra or component.name
    package = component.__module__.partition(".")[0]
    seen = set()
    for entry in discovery.entry_points():
        if entry.dist is None or entry.module.partition(".")[0] != package or entry.dist.name in seen:
            continue
        seen.add(entry.dist.name)
        for text in entry.dist.requires or ():
            needed = Requirement(text)
            if not installed.applies(needed) and installed.applies(needed, [extra]) and not is_met(needed):
                command = f"pip install '{entry.dist.name}[{extra}]'"
                yield Missing(str(needed).partition(";")[0].strip(), entry.name, command)


def is_met(needed: Requirement) -> bool:
    """Whether a distribution is installed that satisfies a requirement."""
    have = installed.distributions().get(installed.normalised(needed.name))
    return have is not None and installed.satisfies(have, needed)
