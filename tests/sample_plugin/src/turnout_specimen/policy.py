"""The policy ``specimen``: no step is tried more often than a team allows."""

from __future__ import annotations

from typing import Annotated

import msgspec

from turnout.plugin_api import Config, Plan, Policy, Violation


class SpecimenSettings(Config, frozen=True):
    """Settings of the policy ``specimen``."""

    retries: Annotated[int, msgspec.Meta(description="How many retries a step may have.", ge=0)] = 3


class SpecimenPolicy(Policy[SpecimenSettings]):
    """Refuses a step with more retries."""

    name = "specimen"
    Config = SpecimenSettings

    def check(self, plan: Plan) -> tuple[Violation, ...]:
        return tuple(
            Violation(
                what=f"the step {step.name} has {step.retry.count} retries",
                step=step.name,
                place=step.place,
                fix=f"give it {self.config.retries} at most: @step(retries={self.config.retries})",
            )
            for step in plan.steps
            if step.retry.count > self.config.retries
        )
