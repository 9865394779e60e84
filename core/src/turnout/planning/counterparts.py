"""Where a run called an endpoint's steps on the same things: what it made there is what the endpoint should answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from turnout.definition.endpoint import EndpointSpec
from turnout.model.inputs import InputSpec, Literal, Output, Param
from turnout.model.plan import Plan, StepPlan
from turnout.model.spec import StepSpec


def counterparts(spec: EndpointSpec, plan: Plan, params: Mapping[str, Any]) -> dict[str, str]:
    """The steps of a run, by the endpoint's, whose function was given what the endpoint's is given.

    A request's table stands for the output that it is like, and its other parameters for their defaults; what the
    endpoint is bound to is the run's own.

    Args:
        params: the run's parameters, in canonical form.
    """
    same: dict[Output, Output] = {output: output for output in spec.bound}
    values: dict[str, Any] = {
        request.name: request.like if request.value is None else None if request.required else _plain(request.default)
        for request in spec.requests
    }
    given = {name: _plain(value) for name, value in params.items()}
    matched: dict[str, str] = {}
    for step in spec.steps:
        inputs = {name: _source(one, values, same) for name, one in step.inputs.items()}
        for other in _candidates(step, plan):
            if None not in inputs.values() and inputs == {n: _source(one, given) for n, one in other.inputs.items()}:
                matched[step.name] = other.name
                same |= {Output(step=step.name, output=one.name): Output(step=other.name, output=one.name)
                         for one in step.outputs}  # fmt: skip
                break
    return matched


def _source(given: InputSpec, values: Mapping[str, Any], same: Mapping[Output, Output] | None = None) -> Any:
    """Which output of the run, or which value, an input is; None where that is not known."""
    match given.source:
        case Output():
            return given.source if same is None else same.get(given.source)
        case Param(name=name):
            return values.get(name)
        case Literal(value=value):
            return _plain(value)
    return None


def _plain(value: Any) -> tuple[str, Any]:
    """A plain value, which equals no output."""
    return "value", value


def _candidates(step: StepSpec, plan: Plan) -> Iterator[StepPlan]:
    names = [output.name for output in step.outputs]
    for other in plan.steps:
        outputs = [output.name for output in other.outputs]
        if other.kind == "task" and not other.mapped and (other.entrypoint, outputs) == (step.entrypoint, names):
            yield other
