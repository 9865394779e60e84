"""The stack's policies, asked while planning."""

from __future__ import annotations

from typing import Any

from turnout.base.errors import TurnoutError
from turnout.components.kinds import POLICY
from turnout.components.policy import Policy
from turnout.components.registry import Registry
from turnout.model.plan import Plan, Worker
from turnout.model.records import Git
from turnout.project.git import Revision
from turnout.runtime.forbidden import refusals
from turnout.stack.bind import instantiate
from turnout.stack.references import resolve_worker, waits


def forbidden(plan: Plan, revision: Revision | None, registry: Registry) -> list[TurnoutError]:
    """What the policies of a plan's stack do not allow. One with settings that only a worker knows is asked there."""
    origin = None if revision is None else Git(revision.commit, revision.dirty)
    return refusals(policies_of(plan.worker, registry), plan, origin)


def policies_of(worker: Worker, registry: Registry) -> tuple[Policy[Any], ...]:
    """The policies that can be asked here, off the workers."""
    policies: list[Policy[Any]] = []
    for component in worker.policies:
        if not _waits(component.config):
            config, _ = resolve_worker(component.config, {}, _no_secret)
            policies.append(instantiate(registry, POLICY, component.type, config))
    return tuple(policies)


def _waits(value: Any) -> bool:
    if isinstance(value, str):
        return waits(value)
    if isinstance(value, dict):
        return any(_waits(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_waits(item) for item in value)


def _no_secret(name: str) -> str:
    raise AssertionError(f"no setting without references asks for the secret {name}")
