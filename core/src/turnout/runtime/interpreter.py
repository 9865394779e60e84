"""The Python that runs a step: this one where it has the step's pins, else one of a uv environment made for them."""

from __future__ import annotations

import sys

from turnout.packaging import environment
from turnout.plan.model import Plan, StepPlan
from turnout.runtime.session import cache_folder


def interpreter_for(plan: Plan, step: StepPlan) -> str:
    """The path of an interpreter that has exactly the versions the step is locked to.

    A worker that has the pins installs nothing.

    Raises:
        PlanError: when the environment cannot be made.
    """
    locked = plan.environments.get(step.environment)
    if locked is None:
        return sys.executable
    same_python = locked.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    if same_python and not environment.missing(locked.pins):
        return sys.executable
    return str(environment.ensure(locked.python, locked.pins, cache_folder() / "environments"))
