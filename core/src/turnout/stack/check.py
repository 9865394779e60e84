"""Whether a stack can be used: everything that is wrong with it, and what is missing on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from turnout.base.errors import ManyErrors, TurnoutError
from turnout.components.registry import Registry
from turnout.project.project import Project
from turnout.stack import references
from turnout.stack.find import open_stack
from turnout.stack.loader import Node
from turnout.stack.stack import WORKER_KINDS, Stack


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something about a stack: an error makes it unusable, a warning may be right on this machine."""

    level: Literal["error", "warning"]
    what: str
    where: str = ""
    why: str = ""
    fix: str = ""


def check(given: str | None, project: Project, registry: Registry, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything to be said against a stack; empty if there is nothing. Nothing is connected to, no secret read."""
    try:
        stack = open_stack(given, project, registry, environ)
    except TurnoutError as error:
        return tuple(_findings(error))
    errors = [finding for error in stack.errors for finding in _findings(error)]
    return (*errors, *_missing_variables(stack), *_broken_plugins(registry))


def _findings(error: TurnoutError) -> Iterator[Finding]:
    if isinstance(error, ManyErrors):
        for one in error.errors:
            yield from _findings(one)
        return
    where = "" if error.where is None else str(error.where)
    yield Finding(level="error", what=error.what, where=where, why=error.why or "", fix=error.fix or "")


def _missing_variables(stack: Stack) -> Iterator[Finding]:
    for choice in stack.choices:
        on_worker = choice.kind in WORKER_KINDS or choice.kind == "artifact_store"
        for node, reference in _references(choice.settings):
            missing = reference.default is None and not stack.environ.get(reference.name)
            if reference.kind == "worker-env" and missing:
                need = "workers need it" if on_worker else "it is needed where the stack is used"
                what = f"the environment variable {reference.name!r} is not set here"
                yield Finding(level="warning", what=what, where=str(node.at), why=need)


def _references(settings: Node) -> Iterator[tuple[Node, references.Reference]]:
    for _, node in settings.leaves():
        if isinstance(node.value, str):
            try:
                parts = references.parse(node.value, node.at)
            except TurnoutError:
                continue  # among the stack's errors already
            yield from ((node, part) for part in parts if isinstance(part, references.Reference))


def _broken_plugins(registry: Registry) -> Iterator[Finding]:
    for problem in registry.problems:
        yield Finding(level="warning", what=str(problem), fix=problem.fix)
