"""What a run left behind, in a form that can be held against what it should have, or against another run."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.api.run import Run
from turnout.base.errors import RunError
from turnout.model.records import Record
from turnout.runtime.resolution import Resolver


class StepEvidence(msgspec.Struct, frozen=True):
    """A step or an element: all of it that must be the same on every engine."""

    state: str
    outputs: dict[str, tuple[str, ...]] = {}
    elements: dict[str, int] = {}
    decision: bool | None = None
    inputs: dict[str, Any] = {}
    cache_key: str = ""


def evidence(run: Run) -> dict[str, StepEvidence]:
    """What each step of a run came to, by ``step`` or ``step.index``.

    A step without a record is ``failed``, whether it was tried or not: what an engine calls it is its own affair.
    """
    records = {place: summary.record for place, summary in run.summaries.items() if summary.record is not None}
    resolver = Resolver(run.plan, lambda step, index: records.get((step, index)))
    found: dict[str, StepEvidence] = {}
    for step in run.plan.steps:
        whole = records.get((step.name, None))
        if whole is not None or not step.mapped:
            found[step.name] = _of(whole)
            continue
        try:
            count = resolver.count(step.name)
        except RunError:
            count = None
        if count is None:
            found[step.name] = StepEvidence("failed")
        for index in range(count or 0):
            found[f"{step.name}.{index}"] = _of(records.get((step.name, index)))
    return found


def _of(record: Record | None) -> StepEvidence:
    if record is None:
        return StepEvidence("failed")
    return StepEvidence(
        state=record.state,
        outputs={name: output.digests for name, output in record.outputs.items()},
        elements=record.elements,
        decision=record.value,
        inputs=dict(record.inputs),
        cache_key=record.cache_key,
    )
