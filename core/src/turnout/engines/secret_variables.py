"""The secrets that a step's container needs, and the variables in which the secret store ``env`` looks for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from turnout.base.canonical import encode
from turnout.base.errors import ConfigError
from turnout.model.endpoint_plan import EndpointPlan
from turnout.model.plan import Plan, StepPlan, Worker

_REFERENCE = re.compile(r"\$\{secret:([^}]+)\}")
_VARIABLE = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*\Z")
"""What Kubernetes takes for the name of a variable."""


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


def secret_keys(
    worker: Worker, variables: Mapping[str, str] | None, keys: Mapping[str, str], setting: str, *, else_fix: str = ""
) -> dict[str, str]:
    """The variables of a container on Kubernetes that are keys of Secrets, each as ``SECRET/KEY``.

    Args:
        variables: those of the secrets that the container needs, as the functions above give them.
        keys: the key of each secret by its name, as far as the stack says it.
        setting: where the stack says it, for errors.
        else_fix: what else mends a secret store that takes no variables.

    Raises:
        ConfigError: where the stack says it, and the secret store takes no variables, or Kubernetes not this one.
    """
    if not keys:
        return {}
    if variables is None:
        raise ConfigError(
            f"{setting} gives variables; secrets of type {worker.secrets.type} are none",
            fix=f"write secrets: {{type: env}} in the stack{else_fix}",
        )
    from_keys = {name: variable for name, variable in variables.items() if name in keys}
    for name, variable in from_keys.items():
        if not _VARIABLE.match(variable):
            raise ConfigError(
                f"the secret {name!r} cannot be a variable of a container",
                fix="use letters, digits, '.', '_' and '-' in its name",
            )
    return {variable: keys[name] for name, variable in from_keys.items()}


def _of_components(worker: Worker) -> list[str]:
    return _REFERENCE.findall(encode(worker).decode())


def _variables(worker: Worker, names: Iterable[str]) -> dict[str, str] | None:
    secrets = worker.secrets
    if secrets.type != "env":
        return None
    return {name: f"{secrets.config.get('prefix', '')}{name}" for name in names}
