"""What a pipeline asks of its orchestrator, and what the orchestrator has: every gap is found before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, Location, TurnoutError, UnsupportedError, did_you_mean
from turnout.components.orchestrator import Capability, Orchestrator
from turnout.definition.mapping import ELEMENTS
from turnout.model.inputs import Element, Literal
from turnout.model.spec import PipelineSpec, Place, StepSpec


class Use(msgspec.Struct, frozen=True):
    """One thing asked for: the capability, what asks for it in words, the step if it is one, the definition's line."""

    capability: Capability
    what: str
    place: Place | None
    step: str | None = None


def uses(spec: PipelineSpec) -> Iterator[Use]:
    """Everything a pipeline asks for."""
    for param in spec.params:
        if param.source == "logical_time":
            yield Use(Capability.LOGICAL_TIME, f"the parameter {param.name} is the run's logical time", spec.place)
        elif param.source != "value":
            yield Use(Capability.INTERVAL, f"the parameter {param.name} is an end of the run's interval", spec.place)
    if spec.tags:
        yield Use(Capability.TAGS, "the pipeline has tags", spec.place)
    for step in spec.steps:
        yield from _step_uses(step)


_STEP: tuple[tuple[Capability, Callable[[StepSpec], Any], str], ...] = (
    (Capability.RETRIES, lambda step: step.retry.count > 0, "retries"),
    (
        Capability.BACKOFF,
        lambda step: step.retry.count > 0 and step.retry.backoff != 1,
        "a growing delay between retries",
    ),
    (Capability.TIMEOUT, lambda step: step.timeout is not None, "a timeout"),
    (Capability.MAP, lambda step: step.mapped, "one task an element"),
    (Capability.GATE, lambda step: step.kind == "gate", "a decision at run time"),
    (Capability.GROUP, lambda step: "." in step.name, "a sub-pipeline"),
    (Capability.CPU, lambda step: step.resources.cpu is not None, "{0.resources.cpu:g} cores"),
    (Capability.MEMORY, lambda step: step.resources.memory, "{0.resources.memory} of memory"),
    (Capability.GPU, lambda step: step.resources.gpu > 0, "{0.resources.gpu} GPU"),
    (
        Capability.ACCELERATOR,
        lambda step: step.resources.accelerator,
        "an accelerator of type {0.resources.accelerator}",
    ),
    (Capability.REQUIREMENTS, lambda step: step.requirements, "requirements of its own"),
    (Capability.SECRETS, lambda step: step.secrets, "secrets"),
    (Capability.ENV, lambda step: step.env, "environment variables"),
    (
        Capability.BY_VALUE,
        lambda step: step.entrypoint and step.entrypoint.value,
        "a function that travels by value",
    ),
)
"""What a step may ask for: the capability, whether it does, and what that is in words (of the step, ``{0}``)."""


def _step_uses(step: StepSpec) -> Iterator[Use]:
    for capability, asks, what in _STEP:
        if asks(step):
            yield Use(capability, f"the step {step.name} asks for {what.format(step)}", step.place, step.name)


SETTINGS = {
    Capability.RETRIES: "retries",
    Capability.BACKOFF: "retry_backoff",
    Capability.TIMEOUT: "timeout",
    Capability.CPU: "resources.cpu",
    Capability.MEMORY: "resources.memory",
    Capability.GPU: "resources.gpu",
    Capability.ACCELERATOR: "resources.accelerator",
    Capability.ENV: "env",
}
"""The setting of a stack's ``steps`` by which it, and not the definition, may ask for a capability."""


def gaps(
    spec: PipelineSpec,
    orchestrator: Orchestrator[Any],
    accepted: Iterable[str],
    places: Mapping[str, Mapping[str, Location]],
) -> list[TurnoutError]:
    """An error for every thing asked for that the orchestrator refuses and nobody accepted by name, and for lists
    written in the definition that are longer than it can map over.

    Args:
        places: for each step where the stack changes a setting of it, by the setting's name.
    """
    known = [capability.value for capability in Capability]
    unknown = [name for name in accepted if name not in known]
    if unknown:
        raise ConfigError(
            f"nothing called {unknown[0]!r} can be accepted. {did_you_mean(unknown[0], known)}".rstrip(" ."),
            fix=f"accept one of: {', '.join(known)}",
        )
    allowed = set(accepted)
    found: list[TurnoutError] = []
    for use in uses(spec):
        support = orchestrator.supports.get(use.capability, "refused")
        if support == "refused" and use.capability.value not in allowed:
            found.append(
                UnsupportedError(
                    f"{use.what}, which the {orchestrator.name} orchestrator cannot give",
                    where=_asked_at(use, places),
                    fix=f"remove it, choose another stack, or go without: --accept {use.capability.value}",
                )
            )
    return [*found, *_too_long(spec, orchestrator)]


def _too_long(spec: PipelineSpec, orchestrator: Orchestrator[Any]) -> Iterator[TurnoutError]:
    """Lists that are mapped over and longer than the orchestrator takes, as far as their lengths are known."""
    limit = orchestrator.fan_out
    if limit is None:
        return
    steps = {step.name: step for step in spec.steps}
    for step in spec.steps:
        elements = {given.source.step for given in step.inputs.values() if isinstance(given.source, Element)}
        for name in sorted(elements):
            items = steps[name].inputs.get("items")
            if steps[name].entrypoint != ELEMENTS or items is None or not isinstance(items.source, Literal):
                continue
            if len(items.source.value) > limit:
                yield UnsupportedError(
                    f"the step {step.name} is mapped over {len(items.source.value):,} elements, "
                    f"and the {orchestrator.name} orchestrator takes {limit:,} at most",
                    where=None if step.place is None else Location(step.place.file, step.place.line),
                    fix="let one call of the step work on several elements, or choose another stack",
                )


def _asked_at(use: Use, places: Mapping[str, Mapping[str, Location]]) -> Location | None:
    """The line that asks: the stack's where it changes the setting, else the definition's."""
    by_stack = places.get(use.step or "", {}).get(SETTINGS.get(use.capability, ""))
    return by_stack or (None if use.place is None else Location(use.place.file, use.place.line))
