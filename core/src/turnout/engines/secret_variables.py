"""The secrets that a step's container needs, and the variables in which the secret store ``env`` looks for them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from turnout.base.canonical import encode
from turnout.model.endpoint_plan import EndpointPlan
from turnout.model.plan import Plan, StepPlan, Worker

_REFERENCE = re.compile(r"\$\{secret:([^}]+)\}")


def secrets_of(plan: Plan, step: StepPlan | None) -> tuple[str, ...]:
    """The names of the secrets that a container needs: the step's own, and those of the components on its worker.

    Args:
        step: None: the end of the run.
    """
    own = () if step is None else step.secrets.values()
    return tuple(sorted({*own, *_of_components(plan.worker)}))


def secret_variables(plan: Plan, step: StepPlan | None) -> dict[str, str] | None:
    """The variable of each of these secrets, by its name; None where the stack's secret store takes no variables."""
    return _variables(plan.worker, secrets_of(plan, step))


def endpoint_secrets(endpoint: EndpointPlan) -> dict[str, str] | None:
    """Likewise of the secrets that an endpoint's container needs: those of all its steps, and of its components."""
    own = {name for step in endpoint.steps for name in step.secrets.values()}
    return _variables(endpoint.worker, sorted({*own, *_of_components(endpoint.worker)}))


def _of_components(worker: Worker) -> list[str]:
    return _REFERENCE.findall(encode(worker).decode())


def _variables(worker: Worker, names: Iterable[str]) -> dict[str, str] | None:
    secrets = worker.secrets
    if secrets.type != "env":
        return None
    return {name: f"{secrets.config.get('prefix', '')}{name}" for name in names}
