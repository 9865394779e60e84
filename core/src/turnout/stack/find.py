"""From a name, a path or nothing at all to the stack."""

from __future__ import annotations

from collections.abc import Mapping

from turnout.base.errors import TurnoutError
from turnout.components.registry import Registry
from turnout.project.project import Project
from turnout.stack.bind import raise_config_errors
from turnout.stack.loader import Node
from turnout.stack.location import choose, locate
from turnout.stack.merge import merged
from turnout.stack.stack import Stack, component_type


def open_stack(
    requested: str | None,
    project: Project,
    registry: Registry,
    environ: Mapping[str, str],
    malformed: list[TurnoutError] | None = None,
) -> Stack:
    """Find a stack and merge its files; whether its settings are right is left to :attr:`Stack.errors`.

    Args:
        requested: a name, the path of a file, or ``package:file.yaml``; None for ``TURNOUT_STACK``, the project's
            setting, or ``local``.
        malformed: takes what is wrong with the shape of sections, in place of raising it.

    Raises:
        ConfigError: when there is no such stack, or a file of it is malformed.
    """

    def type_of(section: str, node: Node) -> str | None:
        return component_type(section, node, registry, environ)

    source = locate(choose(requested, project, environ), project)
    chain = merged(source, project, type_of, malformed)
    files = tuple(link.label for link in chain.sources)
    return Stack(source.name, files, chain.document, project, registry, environ)


def load_stack(requested: str | None, project: Project, registry: Registry, environ: Mapping[str, str]) -> Stack:
    """Find a stack as :func:`open_stack` does, and check all of it.

    Raises:
        ConfigError: the one thing that is wrong, or :class:`turnout.base.errors.ConfigErrors` for all that is.
    """
    stack = open_stack(requested, project, registry, environ)
    raise_config_errors(f"the stack {stack.name!r} cannot be used", list(stack.errors))
    return stack
