"""What is wrong with the plugins installed here, and with those that a stack names; each with its fix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint
from typing import Literal

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from turnout import __version__
from turnout.base.errors import TurnoutError
from turnout.components import discovery
from turnout.components.registry import Registry
from turnout.environment import installed
from turnout.environment.probe import Probed, probe
from turnout.project.project import Project
from turnout.stack import tools
from turnout.stack.find import open_stack

LIMIT = 0.05
"""Seconds that the modules of a plugin may take to import, every time that turnout asks for its components."""

_LOAD = """
from importlib import import_module
from turnout.components.registry import KINDS
module, _, names = argument.partition(":")
plugin = import_module(module)
for name in names.split(".") if names else ():
    plugin = getattr(plugin, name)
for hook in KINDS.values():
    if hasattr(plugin, hook):
        list(getattr(plugin, hook)())
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something about a plugin: an error keeps it from working, a warning makes turnout slower than it need be."""

    level: Literal["error", "warning"]
    plugin: str
    what: str
    fix: str = ""


def examine(registry: Registry, project: Project, stack: str | None) -> tuple[Finding, ...]:
    """Everything to be said against the plugins; empty if there is nothing.

    Each plugin is imported in a process of its own as well, to see what that takes.
    """
    found = [*_named_by_the_stack(registry, project, stack), *_broken(registry)]
    broken = {problem.plugin for problem in registry.problems}
    seen: set[str] = set()
    for entry in discovery.entry_points():
        if entry.name == "turnout":
            continue
        if entry.dist is not None and entry.dist.name not in seen:
            seen.add(entry.dist.name)
            found += _requirements(entry.name, entry.dist)
        if entry.name not in broken:
            found += _import(entry)
    return tuple(dict.fromkeys(found))


def _named_by_the_stack(registry: Registry, project: Project, stack: str | None) -> Iterator[Finding]:
    try:
        choices = open_stack(stack, project, registry, os.environ).choices
    except TurnoutError as error:
        yield Finding(level="error", plugin="", what=str(error))
        return
    for choice in choices:
        try:
            component = registry.get(choice.kind, choice.type, choice.at)
        except TurnoutError as error:
            what = f"{error.where}: {error.what}" + (f" ({error.why})" if error.why else "")
            yield Finding(level="error", plugin=choice.type, what=what, fix=error.fix or "")
        else:
            for needed, plugin, command in tools.missing(component):
                what = f"the stack uses it, and {needed} is not installed here"
                yield Finding(level="warning", plugin=plugin, what=what, fix=f"where steps run: {command}")


def _broken(registry: Registry) -> Iterator[Finding]:
    for problem in registry.problems:
        yield Finding(level="error", plugin=problem.plugin, what=problem.cause, fix=problem.fix)


def _requirements(plugin: str, dist: Distribution) -> Iterator[Finding]:
    """What the plugin's distribution says it needs, and is not here."""
    says_turnout = False
    for text in dist.requires or ():
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        if not installed.applies(needed):
            continue
        shown = str(needed).partition(";")[0].strip()
        if installed.normalised(needed.name) == "turnout":
            says_turnout = True
            if not needed.specifier.contains(__version__, prereleases=True):
                what = f"it needs {shown}, and this is turnout {__version__}"
                fix = f"install a {dist.name} for turnout {__version__}, or that turnout: pip install '{shown}'"
                yield Finding(level="error", plugin=plugin, what=what, fix=fix)
            continue
        if not tools.is_met(needed):
            have = _installed(needed)
            here = "it is not installed" if have is None else f"{have.version} is installed"
            what = f"it needs {shown}, and {here}"
            yield Finding(level="error", plugin=plugin, what=what, fix=f"pip install '{shown}'")
    if not says_turnout:
        what = "it does not say which turnout it is for"
        fix = f'declare it: dependencies = ["turnout>={".".join(__version__.split(".")[:2])}"]'
        yield Finding(level="warning", plugin=plugin, what=what, fix=fix)


def _installed(needed: Requirement) -> installed.Distribution | None:
    return installed.distributions().get(installed.normalised(needed.name))


def _import(entry: EntryPoint) -> Iterator[Finding]:
    probed = _best(entry)
    if probed.error:
        what = f"it cannot be loaded in a process of its own: {probed.error}"
        yield Finding(level="error", plugin=entry.name, what=what, fix="mend it, or uninstall it")
        return
    fix = "let its modules import what they need inside functions"
    if probed.imported:
        what = f"it imports {', '.join(probed.imported)} whenever turnout asks for its components"
        yield Finding(level="warning", plugin=entry.name, what=what, fix=fix)
    if probed.seconds > LIMIT:
        what = f"its modules take {probed.seconds * 1000:.0f} ms to import, more than {LIMIT * 1000:.0f}"
        yield Finding(level="warning", plugin=entry.name, what=what, fix=fix)
    for act in probed.acts:
        what = f"{act} while it is imported"
        yield Finding(level="warning", plugin=entry.name, what=what, fix="let its modules define and do nothing else")


def _best(entry: EntryPoint) -> Probed:
    """The quickest of up to three tries: the first may compile, and the machine may be busy."""
    tries: list[Probed] = []
    while len(tries) < 3 and (not tries or tries[-1].seconds > LIMIT):
        tries.append(probe(_LOAD, entry.value, own=[entry.module.partition(".")[0]]))
    return min(tries, key=lambda one: (bool(one.error), one.seconds))
