"""What engines ask of a schedule, whichever way they keep it."""

from __future__ import annotations

from turnout.base.errors import PlanError
from turnout.model.plan import Plan
from turnout.model.spec import CRON_PRESETS, WEEKDAYS


def see_defaults(plan: Plan, engine: str) -> None:
    """See that a run by schedule would have all its parameters.

    Args:
        engine: what the engine is called, for the message.

    Raises:
        PlanError: for a parameter without a default.
    """
    missing = [param.name for param in plan.given_params if param.required]
    if plan.schedule is not None and missing:
        raise PlanError(
            f"{plan.name} has a schedule, and its parameter {missing[0]!r} has no default",
            where=plan.where,
            why=f"a run that {engine} starts by itself is given no parameters",
            fix=f"give it a default in the definition, or in the stack: pipelines: {{{plan.name}: {{params: …}}}}",
        )


def cron_fields(cron: str) -> list[str]:
    """The five fields of a cron expression, or of a preset, as every engine reads them: Sunday is 0 alone."""
    *others, day = CRON_PRESETS.get(cron, cron).split()
    return [*others, ",".join(_weekdays(part) for part in day.split(","))]


def _weekdays(part: str) -> str:
    span, _, step = part.lower().partition("/")
    first, _, last = (WEEKDAYS.index(day) if day in WEEKDAYS else day for day in span.partition("-"))
    if "7" not in {first, last}:
        return part
    days = range(int(first), int(last or first) + 1, int(step or 1))
    return ",".join(dict.fromkeys(str(day % 7) for day in days))
