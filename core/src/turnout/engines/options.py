"""An engine's own options of a pipeline and of its steps, as the structs that its orchestrator declares."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

from turnout.model.plan import Plan, StepPlan

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


def options_of(planned: Plan | StepPlan, kind: type[OptionsT]) -> OptionsT:
    """The options of a pipeline or a step for the plan's engine: they were checked when the plan was made.

    Args:
        kind: the engine's ``pipeline_options``, or its ``options``.
    """
    given = next(iter(planned.options.values()), None)
    return msgspec.convert(given, kind) if given else _none(kind)


@cache
def _none(kind: type[OptionsT]) -> OptionsT:
    return msgspec.convert({}, kind)


def merged(base: OptionsT, own: OptionsT) -> OptionsT:
    """Options with more specific ones over them: mappings by their keys, lists one after the other, without repeats.

    Of any other option the own value counts, unless it is empty.
    """
    values: dict[str, Any] = {}
    for name in base.__struct_fields__:
        general, specific = getattr(base, name), getattr(own, name)
        if isinstance(general, dict):
            values[name] = {**general, **specific}
        elif isinstance(general, tuple):
            values[name] = tuple(dict.fromkeys((*general, *specific)))
        else:
            values[name] = specific or general
    return type(base)(**values)
