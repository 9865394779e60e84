"""Only images from where a platform team allows them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from turnout.components.base import Config
from turnout.components.policy import Policy, Violation
from turnout.model.plan import Plan


class ImagesSettings(Config, frozen=True):
    """Settings of the policy ``images``."""

    allow: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            min_length=1, description="Patterns such as `registry.example.com/ml/*`; an image must match one of them."
        ),
    ]
    required: Annotated[
        bool, msgspec.Meta(description="Whether every step must name an image; else one without has the engine's.")
    ] = False


class Images(Policy[ImagesSettings]):
    """Refuses a step whose image no pattern matches. ``*`` stands for any text, slashes and tags included."""

    name = "images"
    Config = ImagesSettings

    def check(self, plan: Plan) -> tuple[Violation, ...]:
        allowed = ", ".join(self.config.allow)
        found = []
        for step in plan.steps:
            if step.kind == "gate":
                continue
            if step.image is None:
                if self.config.required:
                    what, fix = f"the step {step.name} names no image", f"give it one that matches {allowed}"
                    found.append(Violation(what=what, step=step.name, place=step.place, fix=fix))
            elif not any(fnmatchcase(step.image, pattern) for pattern in self.config.allow):
                what = f"the image {step.image!r} of the step {step.name} is not allowed"
                fix = f"use an image that matches {allowed}"
                found.append(Violation(what=what, step=step.name, place=step.place, fix=fix))
        return tuple(found)
