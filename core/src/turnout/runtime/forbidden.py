"""What policies do not allow: of a plan and where its code comes from, and of what a step has made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from turnout.base.errors import Location, PlanError, PluginError, TurnoutError, raise_all
from turnout.components.policy import Policy, Violation
from turnout.model.plan import Plan
from turnout.model.records import Artifact, Git, Logged, OutputRecord

Policies = Iterable[Policy[Any]]


def refusals(policies: Policies, plan: Plan, origin: Git | None) -> list[TurnoutError]:
    """What the policies have against a plan and where its code comes from; one that fails refuses, too."""
    found = []
    for policy in policies:
        found += _asked(policy, policy.check, plan)
        found += _asked(policy, policy.check_origin, origin)
    return found


def artifact_refusals(policies: Policies, step: str, artifacts: Iterable[Artifact]) -> list[TurnoutError]:
    """What the policies have against what a step has made, likewise."""
    made = list(artifacts)
    found = []
    for policy in policies:
        for artifact in made:
            found += _asked(policy, policy.check_artifact, artifact, step)
    return found


def allow_reading(policies: Policies, artifact: Artifact) -> None:
    """Ask the policies before an artifact is read.

    Raises:
        PlanError: naming everything that is not allowed.
        PluginError: when a policy fails.
    """
    found = [error for policy in policies for error in _asked(policy, policy.check_read, artifact)]
    raise_all("what is to be read is not allowed", found)


def artifacts_of(outputs: dict[str, OutputRecord], logged: Logged) -> Iterator[Artifact]:
    """The artifacts of a step's outputs, elements included, and those it logged."""
    for output in outputs.values():
        yield from output.artifacts
    yield from logged.artifacts.values()


def _asked(policy: Policy[Any], check: Callable[..., tuple[Violation, ...]], *about: Any) -> list[TurnoutError]:
    try:
        return [_error(policy, violation) for violation in check(*about)]
    except TurnoutError as error:
        return [error]
    except Exception as error:  # a policy of a plugin may raise anything
        text = f"{type(error).__name__}: {error}"
        return [PluginError(f"the policy {policy.name} failed: {text}", fix="mend it, or take it out of the stack")]


def _error(policy: Policy[Any], violation: Violation) -> PlanError:
    place = violation.place
    return PlanError(
        violation.what,
        where=None if place is None else Location(place.file, place.line),
        why=f"the stack's policy {policy.name!r} does not allow it",
        fix=violation.fix or None,
    )
