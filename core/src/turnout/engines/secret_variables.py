"""The secrets that a step's container needs, and the variables in which the secret store ``env`` looks for them."""

from __future__ import annotations

import re

from turnout.base.canonical import encode
from turnout.model.plan import Plan, StepPlan

_REFERENCE = re.compile(r"\$\{secret:([^}]+)\}")


def secrets_of(plan: Plan, step: StepPlan | None) -> tuple[str, ...]:
    """The names of the secrets that a container needs: the step's own, and those of the components on its worker.

    Args:
        step: None: the end of the run.
    """
    own = () if step is None else step.secrets.values()
    return tuple(sorted({*own, *_REFERENCE.findall(encode(plan.worker).decode())}))


def secret_variables(plan: Plan, step: StepPlan | None) -> dict[str, str] | None:
    """The variable of each of these secrets, by its name; None where the stack's secret store takes no variables."""
    secrets = plan.worker.secrets
    if secrets.type != "env":
        return None
    return {name: f"{secrets.config.get('prefix', '')}{name}" for name in secrets_of(plan, step)}
