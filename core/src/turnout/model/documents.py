"""Documents held against the place they lie in, and records against the plan: what they name becomes paths and keys."""

from __future__ import annotations

from turnout.base.errors import ArtifactError
from turnout.base.texts import shown_line
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Record, RunInfo, decode


def read_info(data: bytes, project: str, run: str, where: str) -> RunInfo:
    """A run's ``run.json``.

    Raises:
        ArtifactError: when it cannot be read, or is another run's.
    """
    info = decode(data, RunInfo, where)
    if (info.project, info.id) != (project, run):
        raise _refused(where, "it is of another run")
    return info


def read_record(data: bytes, plan: Plan, step: str, index: int | None, where: str) -> Record:
    """The record of a step, or of an element of a mapped one.

    Raises:
        ArtifactError: when it cannot be read, is another step's, or has other outputs than the plan says.
    """
    record = decode(data, Record, where)
    if (record.step, record.index) != (step, index):
        raise _refused(where, "it is of another step")
    if step in plan.by_name:
        check_outputs(record, plan.by_name[step], where)
    return record


def check_outputs(record: Record, step: StepPlan, where: str) -> None:
    """Refuse a record with other outputs than its step has.

    Raises:
        ArtifactError: with what is wrong.
    """
    lists = {output.name: output.type.collection for output in step.outputs}
    expected = lists.keys() if record.state == "succeeded" else set()
    if record.outputs.keys() != expected:
        names, planned = (", ".join(sorted(given)) or "none" for given in (record.outputs, expected))
        raise _refused(where, f"its outputs are {shown_line(names[:100])}, and by the plan {planned[:100]}")
    for name, output in record.outputs.items():
        if (output.artifact is None) is (output.elements is None) or (output.elements is not None and not lists[name]):
            raise _refused(where, f"its output {name} is {'no' if lists[name] else 'not one'} artifact")
    if step.kind == "gate" and record.state == "succeeded" and record.value is None:
        raise _refused(where, "it does not say what the guard decided")


def _refused(where: str, why: str) -> ArtifactError:
    return ArtifactError(
        f"{where} is refused: {why}",
        why="it was changed after it was written",
        fix="`turnout runs invalidate` removes a step's record so that it runs again",
    )
