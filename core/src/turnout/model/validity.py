"""Whether a plan holds together: its names can be paths, and every step reads what is there before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from turnout.base import names
from turnout.base.errors import PlanError
from turnout.model.expressions import inputs_of
from turnout.model.inputs import Collected, Element, InputSpec, Output, Param
from turnout.model.plan import Plan, StepPlan


def check(plan: Plan, where: str) -> Plan:
    """Refuse a plan that the planner cannot have made.

    Raises:
        PlanError: with what is wrong.
    """
    if not getattr(plan, "_checked", False):  # the same plan is read many times, and decoded once
        if reason := next(_problems(plan), None):
            raise PlanError(
                f"{where} cannot be used: {reason}",
                why="it was changed after it was made",
                fix="export or submit the pipeline again",
            )
        msgspec.structs.force_setattr(plan, "_checked", True)
    return plan


def _problems(plan: Plan) -> Iterator[str]:
    yield from _bad_names("the project", [plan.project])
    yield from _bad_names("the pipeline", [plan.name])
    yield from _bad_names("a parameter", [param.name for param in plan.params])
    yield from _bad_paths("an import root", plan.code.roots)
    earlier: dict[str, StepPlan] = {}
    params = {param.name for param in plan.params}
    for step in plan.steps:
        for part in step.name.split("."):
            yield from _bad_names("a step", [part])
        if step.name in earlier:
            yield f"two steps are called {step.name!r}"
        yield from (f"{step.name}: {reason}" for reason in _of_step(step, earlier, params))
        earlier[step.name] = step


def _of_step(step: StepPlan, earlier: dict[str, StepPlan], params: set[str]) -> Iterator[str]:
    yield from _bad_names("an output", [output.name for output in step.outputs])
    yield from _bad_paths("a file", step.files)
    if step.kind == "task" and step.entrypoint is None:
        yield "it has no entrypoint"
    if step.kind == "gate":
        if step.expression is None:
            yield "it has no expression"
        elif missing := inputs_of(step.expression) - step.inputs.keys():
            yield f"its expression reads {min(missing)!r}, which is no input of it"
    for guard in step.guards:
        if guard not in earlier or earlier[guard].kind != "gate":
            yield f"it is guarded by {guard!r}, which is no gate before it"
    for name, given in step.inputs.items():
        if reason := _of_input(given, earlier, params):
            yield f"its input {name!r} {reason}"


def _of_input(given: InputSpec, earlier: dict[str, StepPlan], params: set[str]) -> str | None:
    source = given.source
    if isinstance(source, Param):
        return None if source.name in params else f"is the parameter {source.name!r}, which there is not"
    if not isinstance(source, (Output, Element, Collected)):
        return None
    maker = earlier.get(source.step)
    if maker is None:
        return f"comes from {source.step!r}, which is no step before it"
    if source.output not in {output.name for output in maker.outputs}:
        return f"is the output {source.output!r} of {source.step}, which has none of that name"
    if not isinstance(source, Element) and isinstance(source, Collected) is not maker.mapped:
        return f"takes {source.step} for {'one step' if maker.mapped else 'a mapped one'}"
    return None


def _bad_names(what: str, given: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in given:
        if reason := names.problem(name):
            yield f"{what} is called {name[:60]!r}: {reason}"
        if name in seen:
            yield f"{what} called {name!r} is there twice"
        seen.add(name)


def _bad_paths(what: str, given: Iterable[str]) -> Iterator[str]:
    for path in given:
        parts = path.split("/")
        if "\\" in path or "\0" in path or (path != "." and any(part in {"", ".", ".."} for part in parts)):
            yield f"the path of {what}, {path[:60]!r}, could leave its folder"
