"""The Python that runs a step: this one where it has the step's pins, else one of a uv environment made for them."""

from __future__ import annotations

import sys
from typing import Any

from turnout.base.cache_folder import cache_folder
from turnout.components.artifact_store import ArtifactStore
from turnout.components.kinds import of_worker
from turnout.components.registry import Registry
from turnout.environment import environment
from turnout.model.plan import StepPlan, Worker
from turnout.runtime.session import Session


def interpreter_for(session: Session, step: StepPlan) -> str:
    """The path of an interpreter that has exactly the versions the step is locked to.

    A worker that has the pins installs nothing.

    Raises:
        PlanError: when the environment cannot be made.
    """
    locked = session.run.plan.environments.get(step.environment)
    if locked is None:
        return sys.executable
    same_python = locked.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    if same_python and not environment.missing(locked.pins):
        return sys.executable
    own = own_requirements(session.run.plan.worker, session.registry, session.run.store)
    print(f"turnout: making an environment of {len(locked.pins)} packages for {step.name}", file=sys.stderr, flush=True)
    folder = cache_folder() / "environments"
    return str(environment.ensure(locked.python, locked.pins, folder, own, session.components.package_index))


def own_requirements(worker: Worker, registry: Registry, store: ArtifactStore[Any]) -> tuple[str, ...]:
    """What workers need of turnout: itself, with what the store needs, and the plugins whose components they use.

    A plugin keeps what it needs only where its component works in the extra that has the component's name.
    """
    found = {(registry.distribution(kind, component.type), component.type) for kind, component in of_worker(worker)}
    plugins = sorted(f"{name}[{named}]" for name, named in found if name not in {"", "turnout"})
    return (f"turnout[{store.extra}]" if store.extra else "turnout", *plugins)
