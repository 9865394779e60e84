"""What a pipeline asks of its orchestrator, and what the orchestrator has: every gap is found before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, Location, TurnoutError, UnsupportedError, did_you_mean
from turnout.components.orchestrator import Orchestrator
from turnout.definition.mapping import ELEMENTS
from turnout.model.capability import Capability
from turnout.model.declared import Setting, settings_of
from turnout.model.inputs import Element, Literal
from turnout.model.spec import PipelineSpec, StepSpec


class Use(msgspec.Struct, frozen=True):
    """One thing asked for: the capability, what asks for it in words, and the definition's line.

    If a step asks for it, also the step, and the setting by which a stack may ask for it instead.
    """

    capability: Capability
    what: str
    where: Location | None
    step: str = ""
    setting: str = ""


def uses(spec: PipelineSpec) -> Iterator[Use]:
    """Everything a pipeline asks for."""
    for param in spec.params:
        if param.source == "logical_time":
            yield Use(Capability.LOGICAL_TIME, f"the parameter {param.name} is the run's logical time", spec.where)
        elif param.source != "value":
            yield Use(Capability.INTERVAL, f"the parameter {param.name} is an end of the run's interval", spec.where)
    if spec.tags:
        yield Use(Capability.TAGS, "the pipeline has tags", spec.where)
    for step in spec.steps:
        yield from _step_uses(step)


class _Question(msgspec.Struct, frozen=True):
    """Whether a step asks for a capability: *asks* gives that in words, or nothing; a stack asks by its *setting*."""

    capability: Capability
    asks: Callable[[StepSpec], str | None]
    setting: str = ""


@lru_cache(maxsize=1)
def _questions() -> tuple[_Question, ...]:
    """All that a step may ask for, by its structure and by its settings, in the order of capabilities."""
    questions = [
        _Question(Capability.MAP, lambda step: "one task an element" if step.mapped else None),
        _Question(Capability.GATE, lambda step: "a decision at run time" if step.kind == "gate" else None),
        _Question(Capability.GROUP, lambda step: "a sub-pipeline" if "." in step.name else None),
        _Question(
            Capability.BY_VALUE,
            lambda step: "a function that travels by value" if step.entrypoint and step.entrypoint.value else None,
        ),
    ]
    for setting in settings_of(StepSpec):
        for part in setting.parts or (setting,):
            if part.capability is not None:
                name = ".".join(dict.fromkeys((setting.name, part.name)))
                path = (*setting.path, *part.path) if setting.parts else setting.path
                questions.append(_Question(part.capability, _asks(part, path), name if part.in_stack else ""))
    order = list(Capability)
    return tuple(sorted(questions, key=lambda question: order.index(question.capability)))


def _asks(setting: Setting, path: tuple[str, ...]) -> Callable[[StepSpec], str | None]:
    """What a setting asks for, in words, where it is not at its default."""
    value_of = attrgetter(".".join(path))
    needed = attrgetter(".".join((*path[:-1], setting.needs))) if setting.needs else None

    def asks(step: StepSpec) -> str | None:
        value = value_of(step)
        is_asked = value != setting.default and (needed is None or needed(step))
        return setting.asks.format(value) if is_asked else None

    return asks


def _step_uses(step: StepSpec) -> Iterator[Use]:
    for question in _questions():
        if what := question.asks(step):
            yield Use(
                question.capability, f"the step {step.name} asks for {what}", step.where, step.name, question.setting
            )


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
    names = [capability.value for capability in Capability]
    unknown = [name for name in accepted if name not in names]
    if unknown:
        raise ConfigError(
            f"nothing called {unknown[0]!r} can be accepted. {did_you_mean(unknown[0], names)}".rstrip(" ."),
            fix=f"accept one of: {', '.join(names)}",
        )
    allowed = set(accepted)
    refused: list[TurnoutError] = []
    for use in uses(spec):
        support = orchestrator.supports.get(use.capability, "refused")
        if support == "refused" and use.capability.value not in allowed:
            refused.append(
                UnsupportedError(
                    f"{use.what}, which the {orchestrator.name} orchestrator cannot give",
                    where=_asked_at(use, places),
                    fix=f"remove it, choose another stack, or go without: --accept {use.capability.value}",
                )
            )
    return [*refused, *_too_long(spec, orchestrator)]


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
                    where=step.where,
                    fix="let one call of the step work on several elements, or choose another stack",
                )


def _asked_at(use: Use, places: Mapping[str, Mapping[str, Location]]) -> Location | None:
    """The line that asks: the stack's where it changes the setting, else the definition's."""
    return places.get(use.step, {}).get(use.setting) or use.where
