"""The order of steps: each after all that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from turnout.base.errors import DefinitionError
from turnout.model.spec import StepSpec


def order(steps: Sequence[StepSpec]) -> tuple[StepSpec, ...]:
    """The steps in topological order; as they are where they lie in one already.

    Raises:
        DefinitionError: when a step needs one that is not there, or steps need each other in a circle.
    """
    by_name = {step.name: step for step in steps}
    seen: set[str] = set()
    ordered = True
    for step in steps:
        for name in step.upstream:
            if name not in by_name:
                raise DefinitionError(
                    f"the step {step.name!r} needs {name!r}, which is not in the pipeline",
                    fix="call the step that gives it in the same pipeline",
                )
            ordered = ordered and name in seen
        seen.add(step.name)
    if ordered:
        return tuple(steps)
    position = {step.name: number for number, step in enumerate(steps)}
    sorter = TopologicalSorter({step.name: step.upstream for step in steps})
    try:
        sorter.prepare()
    except CycleError as error:
        raise DefinitionError(
            f"the steps need each other in a circle: {' -> '.join(error.args[1])}",
            fix="take one of these inputs away",
        ) from None
    result: list[StepSpec] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        result.extend(by_name[name] for name in ready)
        sorter.done(*ready)
    return tuple(result)
