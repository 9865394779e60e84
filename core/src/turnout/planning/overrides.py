"""What a stack says of a pipeline and its steps, laid over what the definition says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, Location, TurnoutError, did_you_mean
from turnout.components.base import Config
from turnout.model.declared import changes, settings_of
from turnout.model.spec import ParamSpec, PipelineSpec, StepSpec
from turnout.model.values import article, convert
from turnout.stack.overrides import Overrides
from turnout.stack.stack import Stack


def override_pipeline(spec: PipelineSpec, stack: Stack, problems: list[TurnoutError]) -> PipelineSpec:
    """The pipeline with the stack's schedule, tags and defaults of parameters."""
    over = stack.pipeline_overrides(spec.name)
    params = {param.name: param for param in spec.params}
    for name, value in over.params.items():
        try:
            params[name] = _default(params, name, value, spec.name, over.places.get(f"params.{name}"))
        except TurnoutError as error:
            problems.append(error)
    schedule = spec.schedule
    try:
        schedule = over.rescheduled(spec.schedule)
    except TurnoutError as error:
        problems.append(error)
    return msgspec.structs.replace(
        spec, params=tuple(params.values()), schedule=schedule, tags={**spec.tags, **over.tags}
    )


def _default(params: dict[str, ParamSpec], name: str, value: Any, pipeline: str, where: Any) -> ParamSpec:
    if name not in params:
        raise ConfigError(
            f"the pipeline {pipeline} has no parameter {name!r}. {did_you_mean(name, params)}".rstrip(" ."),
            where=where,
            fix=f"its parameters are: {', '.join(params) or 'none'}",
        )
    param = params[name]
    try:
        default = convert(value, param.type, name, where, canonical=False)
    except ConfigError as error:
        if param.type.kind == "str" and value is not None and not isinstance(value, (str, list, dict)):
            error.fix = f'put it in quotes, {name}: "…": YAML reads it as {article(type(value).__name__)}'
        raise
    return msgspec.structs.replace(param, default=default, required=False, source="value")


def engine_options(
    own: dict[str, Any],
    stack: Stack,
    over: dict[str, Any],
    what: str,
    where: Location | None,
    problems: list[TurnoutError],
) -> dict[str, Any]:
    """The options for the stack's orchestrator: the definition's, checked, with the stack's over them.

    Another orchestrator's options stay out of the plan.
    """
    engine = stack.orchestrator_type
    options = own.get(engine.name, {})
    struct = engine.pipeline_options if what.startswith("pipeline") else engine.options
    if options:
        try:
            msgspec.convert(options, struct or Config)
        except msgspec.ValidationError as error:
            problems.append(ConfigError(f"the {engine.name} options of the {what} do not fit: {error}", where=where))
    merged = {**options, **over.get(engine.name, {})}
    return {engine.name: merged} if merged else {}


def override_step(
    step: StepSpec, stack: Stack, problems: list[TurnoutError]
) -> tuple[StepSpec, Mapping[str, Location]]:
    """The step with the stack's settings in it and the options of its engine alone, and where the stack sets them."""
    over: Overrides = stack.step_overrides(step.name)
    options = engine_options(step.options, stack, over.options, f"step {step.name}", step.where, problems)
    fields = changes(step, settings_of(StepSpec), msgspec.structs.asdict(over)) if over.places else {}
    if "retry" in fields and (problem := fields["retry"].problem):
        problems.append(ConfigError(f"{problem}: the step {step.name}", where=next(iter(over.places.values()), None)))
    if options != step.options:
        fields["options"] = options
    return (msgspec.structs.replace(step, **fields) if fields else step), over.places
