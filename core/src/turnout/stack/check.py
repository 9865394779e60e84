"""Whether a stack can be used: everything that is wrong with it, and what is missing on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from turnout.base.errors import ManyErrors, TurnoutError
from turnout.components.kinds import ARTIFACT_STORE
from turnout.components.registry import Registry
from turnout.project.project import Project
from turnout.stack import needs
from turnout.stack.find import open_stack
from turnout.stack.needs import Finding
from turnout.stack.stack import Stack


def check(
    requested: str | None, project: Project, registry: Registry, environ: Mapping[str, str], *, connect: bool = True
) -> tuple[Finding, ...]:
    """Everything to be said against a stack; empty if there is nothing.

    Args:
        connect: whether to see that servers answer at the addresses in the stack.
    """
    malformed: list[TurnoutError] = []
    try:
        stack = open_stack(requested, project, registry, environ, malformed)
    except TurnoutError as error:
        return tuple(finding for each in (*malformed, error) for finding in _findings(each))
    errors = [finding for error in (*malformed, *stack.errors) for finding in _findings(error)]
    missing = needs.missing(stack, connect=connect)
    return (*errors, *missing, *_missing_variables(stack), *_broken_plugins(registry))


def _findings(error: TurnoutError) -> Iterator[Finding]:
    if isinstance(error, ManyErrors):
        for one in error.errors:
            yield from _findings(one)
        return
    where = "" if error.where is None else str(error.where)
    yield Finding(level="error", what=error.what, where=where, why=error.why or "", fix=error.fix or "")


def _missing_variables(stack: Stack) -> Iterator[Finding]:
    for choice in stack.choices:
        on_worker = choice.kind.on_worker or choice.kind == ARTIFACT_STORE
        for node, reference in needs.references_of(choice.settings):
            missing = reference.default is None and not stack.environ.get(reference.name)
            if reference.kind == "worker-env" and missing:
                need = "workers need it" if on_worker else "it is needed where the stack is used"
                what = f"the environment variable {reference.name!r} is not set here"
                yield Finding(level="warning", what=what, where=str(node.at), why=need)


def _broken_plugins(registry: Registry) -> Iterator[Finding]:
    for problem in registry.problems:
        yield Finding(level="warning", what=str(problem), fix=problem.fix)
