"""The Python that runs a step: this one where it has the step's pins, else one of a uv environment made for them."""

from __future__ import annotations

import sys

from turnout.packaging import environment
from turnout.plan.model import StepPlan
from turnout.runtime.session import Session, cache_folder


def interpreter_for(session: Session, step: StepPlan) -> str:
    """The path of an interpreter that has exactly the versions the step is locked to.

    A worker that has the pins installs nothing.

    Raises:
        PlanError: when the environment cannot be made.
    """
    locked = session.plan.environments.get(step.environment)
    if locked is None:
        return sys.executable
    same_python = locked.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    if same_python and not environment.missing(locked.pins):
        return sys.executable
    print(f"turnout: making an environment of {len(locked.pins)} packages for {step.name}", file=sys.stderr, flush=True)
    return str(environment.ensure(locked.python, locked.pins, cache_folder() / "environments", _own(session)))


def _own(session: Session) -> tuple[str, ...]:
    """turnout itself, with what this run's store needs, and the plugins whose components workers use."""
    worker = session.plan.worker
    used = [
        ("tracker", worker.tracker),
        ("feature_store", worker.feature_store),
        ("secret_store", worker.secrets),
        *(("observer", component) for component in worker.observers),
        *(("policy", component) for component in worker.policies),
    ]
    found = {session.registry.distribution(kind, component.type) for kind, component in used}
    extra = session.store.extra
    return (f"turnout[{extra}]" if extra else "turnout", *sorted(found - {"", "turnout"}))
