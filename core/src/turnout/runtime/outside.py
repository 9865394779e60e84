"""What a step's result depends on outside its own code and the environment's pins, as the step's interpreter has it.

These are packages that no pin covers, and the classes inside the values that the step is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from turnout.environment.imported import unpinned
from turnout.model.plan import StepPlan
from turnout.model.records import InputRecord, OutputRecord
from turnout.runtime.inputs import outputs_of
from turnout.runtime.session import Session

UNKNOWN = "unknown"
"""Stands for classes that nobody can tell: such a result is not cached."""


def packages(session: Session, step: StepPlan) -> dict[str, str]:
    """What stands for the packages that a step's code imports and no pin covers."""
    return _unpinned(session, step, step.packages)


def classes(session: Session, step: StepPlan, inputs: dict[str, InputRecord]) -> dict[str, Any]:
    """The digests of the project's classes inside the values that a step is given, by input; and packages of theirs."""
    found: dict[str, Any] = {}
    for name, given in inputs.items():
        source = step.inputs[name].source
        needed = dict.fromkeys(used for one in outputs_of(session, source, given) for used in _needed(one))
        own = [used for used in needed if session.code.has_module(used.partition(":")[0])]
        prints = [(used, session.code.prints.of_used(used)) for used in own]
        digests = {used: UNKNOWN if one is None else one.digest for used, one in prints}
        others = {used.partition(":")[0].partition(".")[0] for used in needed.keys() - own}
        brought = {package for _, one in prints if one is not None for package in one.packages}
        if UNKNOWN in others or "__main__" in others:
            digests[UNKNOWN] = UNKNOWN
        digests |= _unpinned(session, step, sorted({*others, *brought} - {UNKNOWN}))
        if digests:
            found[name] = digests
    return found


def is_told(parts: dict[str, Any]) -> bool:
    """Whether the parts of a key say all that the result depends on."""
    return not any(UNKNOWN in digests.values() for digests in parts.get("classes", {}).values())


def _needed(output: OutputRecord) -> tuple[str, ...]:
    is_unknown = output.uses is None and any(artifact.marked for artifact in output.artifacts)
    return (UNKNOWN,) if is_unknown else output.uses or ()


def _unpinned(session: Session, step: StepPlan, names: Iterable[str]) -> dict[str, str]:
    environment = session.run.plan.environments.get(step.environment)
    names = tuple(names)
    return unpinned(names, {} if environment is None else environment.versions) if names else {}
