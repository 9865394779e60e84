"""What differs between two runs: what they were made from, what their steps gave, what they measured."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.api.run import Run, StepRun


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs: what it is (``parameter``, ``step`` …), its name, and how it stands in each run."""

    what: str
    name: str
    left: Any
    right: Any


def compare(left: Run, right: Run) -> list[Difference]:
    """Everything in which two runs differ; times and ids do not count."""
    return [
        *_mappings("parameter", left.params, right.params),
        *_mappings("made of", _origin(left), _origin(right)),
        *_mappings("code of", _fingerprints(left), _fingerprints(right)),
        *_steps(left, right),
        *_mappings("metric", left.metrics, right.metrics),
    ]


def _origin(run: Run) -> dict[str, Any]:
    environments = {f"environment {name}": one.pins for name, one in run.plan.environments.items()}
    return {"pipeline": run.info.pipeline, "stack": run.info.stack, **environments}


def _fingerprints(run: Run) -> dict[str, Any]:
    return {step.name: step.fingerprint for step in run.plan.steps}


def _steps(left: Run, right: Run) -> list[Difference]:
    names = list(dict.fromkeys([*left.plan.by_name, *right.plan.by_name]))
    return _mappings(
        "step",
        {name: _shown(left[name]) for name in names if name in left.plan.by_name},
        {name: _shown(right[name]) for name in names if name in right.plan.by_name},
    )


def _shown(step: StepRun) -> str:
    """A step's state and what came out of it, by the starts of digests; its decision if it is a guard."""
    parts = step.elements if step.plan.mapped and step.summary is None else [step]
    records = [part.summary.record for part in parts if part.summary is not None and part.summary.record is not None]
    digests = [digest[:12] for record in records for output in record.outputs.values() for digest in output.digests]
    values = [str(record.value).lower() for record in records if record.value is not None]
    return " ".join([step.state, *values, *digests])


def _mappings(what: str, left: dict[str, Any], right: dict[str, Any]) -> list[Difference]:
    names = dict.fromkeys([*left, *right])
    return [
        Difference(what, name, left.get(name), right.get(name))
        for name in names
        if left.get(name) != right.get(name) or (name in left) != (name in right)
    ]
