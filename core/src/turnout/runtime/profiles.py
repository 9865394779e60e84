"""Which profiles of tables go on record: those of steps that allow it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from turnout.artifacts.saving import unprofiled
from turnout.model.plan import StepPlan
from turnout.model.records import Artifact, Logged, OutputRecord, Record


def allowed(step: StepPlan, outputs: dict[str, OutputRecord], logged: Logged) -> tuple[dict[str, OutputRecord], Logged]:
    """What a step made, without the profiles that are not to be on record."""

    def kept(artifact: Artifact) -> Artifact:
        return artifact if step.profile else unprofiled(artifact)

    if logged.artifacts:
        artifacts = {name: kept(artifact) for name, artifact in logged.artifacts.items()}
        logged = msgspec.structs.replace(logged, artifacts=artifacts)
    return {name: _each(output, kept) for name, output in outputs.items()}, logged


def taken_over(step: StepPlan, record: Record) -> Record:
    """An earlier record as this step may have it: without profiles where it says so."""
    if step.profile:
        return record
    outputs, logged = allowed(step, record.outputs, record.logged)
    return msgspec.structs.replace(record, outputs=outputs, logged=logged)


def stripped(output: OutputRecord) -> OutputRecord:
    """An output without profiles, as small as it travels."""
    return _each(output, unprofiled)


def _each(output: OutputRecord, change: Callable[[Artifact], Artifact]) -> OutputRecord:
    return msgspec.structs.replace(
        output,
        artifact=None if output.artifact is None else change(output.artifact),
        elements=None if output.elements is None else tuple(map(change, output.elements)),
    )
