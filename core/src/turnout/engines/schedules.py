"""What engines ask of a schedule, whichever way they keep it."""

from __future__ import annotations

from turnout.base.errors import PlanError
from turnout.model.plan import Plan


def see_defaults(plan: Plan, engine: str) -> None:
    """See that a run by schedule would have all its parameters.

    Args:
        engine: what the engine is called, for the message.

    Raises:
        PlanError: for a parameter without a default.
    """
    missing = [spec.name for spec in plan.params if spec.required and spec.source == "value"]
    if plan.schedule is not None and missing:
        raise PlanError(
            f"{plan.name} has a schedule, and its parameter {missing[0]!r} has no default",
            where=plan.where,
            why=f"a run that {engine} starts by itself is given no parameters",
            fix=f"give it a default in the definition, or in the stack: pipelines: {{{plan.name}: {{params: …}}}}",
        )
