"""What the inputs of a step that can run now are: records of them for lineage and the cache key."""

from __future__ import annotations

from turnout.plan.model import StepPlan
from turnout.records.model import InputRecord, OutputRecord, Record
from turnout.runtime.resolution import Skip
from turnout.runtime.session import Session
from turnout.spec.inputs import Collected, Element, Literal, Output, Param, Source


def input_records(session: Session, step: StepPlan, index: int | None) -> dict[str, InputRecord]:
    """What each input of a step that can run is: digests of artifacts, or the canonical value."""
    return {name: _input_record(session, given.source, index) for name, given in step.inputs.items()}


def _input_record(session: Session, source: Source, index: int | None) -> InputRecord:
    match source:
        case Literal(value=value):
            return InputRecord(value=value)
        case Param(name=name):
            return InputRecord(param=name, value=session.run.params[name])
        case Output(step=step, output=output):
            record = session.record(step, None)
            if record is None or record.state == "skipped":
                return InputRecord(step=step, output=output, skipped=True)
            found = record.outputs[output]
            return InputRecord(step=step, output=output, digests=found.digests, collection=found.elements is not None)
        case Element(step=step, output=output):
            return _element_record(session, step, output, index)
        case Collected(step=step, output=output):
            return _collected_record(session, step, output)
    raise AssertionError(source)


def _element_record(session: Session, step: str, output: str, index: int | None) -> InputRecord:
    found = element(session, step, output, index)
    return InputRecord(
        step=step, output=output, index=index, digests=found.digests, collection=found.elements is not None
    )


def element(session: Session, step: str, output: str, index: int | None) -> OutputRecord:
    """The output that element *index* of a mapped step reads."""
    assert index is not None
    if session.plan.by_name[step].mapped:
        record = session.record(step, index)
        assert record is not None
        return record.outputs[output]
    record = session.record(step, None)
    assert record is not None
    elements = record.outputs[output].elements
    assert elements is not None
    return OutputRecord(artifact=elements[index])


def collected(session: Session, step: str, output: str) -> list[OutputRecord] | None:
    """The outputs of all elements of a mapped step, or None if it was skipped."""
    if isinstance(session.resolver.settle(step)[step], (Skip, Record)):
        return None
    count = session.resolver.count(step)
    assert count is not None
    found = []
    for number in range(count):
        record = session.record(step, number)
        assert record is not None
        found.append(record.outputs[output])
    return found


def _collected_record(session: Session, step: str, output: str) -> InputRecord:
    found = collected(session, step, output)
    if found is None:
        return InputRecord(step=step, output=output, skipped=True)
    return InputRecord(
        step=step, output=output, collection=True, digests=tuple(digest for one in found for digest in one.digests)
    )
