"""The cache key of a step: everything its result depends on, and nothing else."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.model.inputs import Collected, InputSpec, Literal, Param
from turnout.model.plan import StepPlan
from turnout.model.records import InputRecord
from turnout.model.types import ParamType
from turnout.runtime import feature_versions
from turnout.runtime.inputs import collected
from turnout.runtime.outside import classes, packages
from turnout.runtime.sealed import threads_for
from turnout.runtime.session import Session


def key_parts(session: Session, step: StepPlan, inputs: dict[str, InputRecord]) -> dict[str, Any]:
    """What the key is made of, by name, so that two keys can be compared part by part."""
    environment = session.run.plan.environments.get(step.environment)
    parts = {
        "step": None if step.entrypoint is None else str(step.entrypoint),
        "expression": step.expression,
        "code": step.fingerprint,
        "inputs": {name: _input(session, step.inputs[name], given) for name, given in inputs.items()},
        "environment": None if environment is None else environment.digest,
        "threads": threads_for(step.resources.cores),
        "env": {name: os.environ.get(name) for name in step.env},
        "files": step.files,
        "outputs": {
            output.name: [output.type.name, output.type.collection, output.materializer] for output in step.outputs
        },
    }
    further = {
        "packages": packages(session, step),
        "classes": classes(session, step, inputs),
        "features": feature_versions.read_before(session, step),
    }
    return parts | {name: part for name, part in further.items() if part}


def _input(session: Session, spec: InputSpec, given: InputRecord) -> Any:
    """What the step is given, so that equal parts mean equal arguments: of a value also its type."""
    if given.skipped:
        return {"skipped": True}
    match spec.source:
        case Literal(type=type_):
            return _value(given, spec, type_)
        case Param(name=name):
            return _value(given, spec, session.run.params[name].type)
        case Collected(step=step, output=output):
            found = collected(session, step, output) or []
            return {"collection": [one.digests[0] if one.elements is None else one.digests for one in found]}
    return {"collection": given.digests} if given.collection else {"artifact": given.digests}


def _value(given: InputRecord, spec: InputSpec, type_: ParamType) -> Any:
    if given.digests:
        return {type_.kind: given.digests, "suffix": given.value["suffix"]}
    plain = msgspec.structs.replace(type_, optional=False, choices=())
    enums = {} if type_.enum == spec.type.name else {"enums": found} if (found := sorted(type_.enums)) else {}
    return {"value": given.value, "type": str(plain), **enums}


def key_of(parts: dict[str, Any]) -> str:
    """The SHA-256 of the parts' canonical JSON."""
    return canonical.digest_of(parts)
