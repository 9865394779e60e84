"""The Python that serves an endpoint: this one where it has the endpoint's pins, else one of an environment of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from turnout.base.cache_folder import cache_folder
from turnout.base.errors import ConfigError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.registry import discover
from turnout.environment import environment
from turnout.environment.pins import python_minor
from turnout.model.endpoint_plan import EndpointPlan
from turnout.runtime.code import Code
from turnout.runtime.interpreter import own_requirements
from turnout.runtime.worker_components import WorkerComponents

SERVING = ("starlette", "uvicorn", "httptools", "prometheus_client")
"""The modules that answering over HTTP takes."""


def interpreter_for(plan: EndpointPlan, store: ArtifactStore[Any], needs: Sequence[str] = SERVING) -> str:
    """An interpreter with the endpoint's pins and the modules that it *needs* besides.

    Raises:
        ConfigError: when one of these is not installed, and the endpoint's environment is this one.
        PlanError: when its environment cannot be made.
    """
    locked = plan.environment
    if locked.python == python_minor() and not environment.missing(locked.pins):
        absent = [name for name in needs if find_spec(name) is None]
        if absent:
            raise ConfigError(
                f"{plan.name} cannot be served here: {', '.join(absent)} is not installed",
                fix="pip install 'turnout[serve]'",
            )
        return sys.executable
    own = ("turnout[serve]", *own_requirements(plan.worker, discover(), store))
    folder = cache_folder() / "environments"
    return str(environment.ensure(locked.python, locked.pins, folder, own, lambda: _index(plan, store)))


def _index(plan: EndpointPlan, store: ArtifactStore[Any]) -> dict[str, str]:
    """How uv finds the packages of the stack's index: asked where an environment is made."""
    count = len(plan.environment.pins)
    print(f"turnout: making an environment of {count} packages for {plan.name}", file=sys.stderr, flush=True)
    code = Code(plan.code, store, cache_folder())
    return WorkerComponents(plan.worker, discover, lambda: code.unpacked).package_index()
