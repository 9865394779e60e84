"""The cache key of a step: everything its result depends on, and nothing else."""

from __future__ import annotations

import os
from typing import Any

from turnout import canonical
from turnout.plan.model import StepPlan
from turnout.records.model import InputRecord
from turnout.runtime.session import Session


def key_parts(session: Session, step: StepPlan, inputs: dict[str, InputRecord]) -> dict[str, Any]:
    """What the key is made of, by name, so that two keys can be compared part by part."""
    environment = session.plan.environments.get(step.environment)
    return {
        "step": None if step.entrypoint is None else str(step.entrypoint),
        "expression": step.expression,
        "code": step.fingerprint,
        "inputs": {name: _input(given) for name, given in inputs.items()},
        "environment": None if environment is None else canonical.digest_of(environment),
        "env": {name: os.environ.get(name) for name in step.env},
        "files": step.files,
        "outputs": {
            output.name: [output.type.name, output.type.collection, output.materializer] for output in step.outputs
        },
    }


def _input(given: InputRecord) -> Any:
    if given.skipped:
        return {"skipped": True}
    if given.step is not None:
        return {"collection": given.digests} if given.collection else {"artifact": given.digests}
    if isinstance(given.value, dict) and "digest" in given.value:
        return {"file": given.value}
    return {"value": given.value}


def key_of(parts: dict[str, Any]) -> str:
    """The SHA-256 of the parts' canonical JSON."""
    return canonical.digest_of(parts)
