"""The Python that runs a step: this one where it has the step's pins, else one of a uv environment made for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from turnout.base.cache_folder import cache_folder
from turnout.components.artifact_store import ArtifactStore
from turnout.components.kinds import of_worker
from turnout.components.registry import Registry
from turnout.environment import environment
from turnout.environment import package_index as index
from turnout.model.plan import StepPlan, Worker
from turnout.runtime.session import Session
from turnout.stack.references import resolve_worker


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
    return str(environment.ensure(locked.python, locked.pins, folder, own, lambda: _index(session)))


def _index(session: Session) -> dict[str, str]:
    """How uv finds the packages of the stack's index, its references resolved."""
    settings = msgspec.structs.asdict(session.run.plan.worker.index)
    found, seen = resolve_worker(settings, os.environ, session.components.secret)
    session.components.secrets_seen |= seen
    return index.variables(found, session.code.unpacked if found["find_links"] else Path())


def own_requirements(worker: Worker, registry: Registry, store: ArtifactStore[Any]) -> tuple[str, ...]:
    """What workers need of turnout: itself, with what the store needs, and the plugins whose components they use.

    A plugin keeps what it needs only where its component works in the extra that has the component's name.
    """
    found = {(registry.distribution(kind, component.type), component.type) for kind, component in of_worker(worker)}
    plugins = sorted(f"{name}[{named}]" for name, named in found if name not in {"", "turnout"})
    return (f"turnout[{store.extra}]" if store.extra else "turnout", *plugins)
