"""What the inputs of a step that can run now are: records of them for lineage and the cache key."""

from __future__ import annotations

from typing import Any

from turnout.materializers.paths import FILE, FOLDER
from turnout.model.inputs import Collected, Element, Literal, Output, Param, Source
from turnout.model.plan import StepPlan
from turnout.model.records import InputRecord, OutputRecord, Record
from turnout.model.types import ParamType
from turnout.runtime.parameter_files import parameter_content
from turnout.runtime.resolution import Skip
from turnout.runtime.session import Session


def input_records(session: Session, step: StepPlan, index: int | None) -> dict[str, InputRecord]:
    """What each input of a step that can run is: digests of artifacts, or the canonical value."""
    return {name: _input_record(session, given.source, index) for name, given in step.inputs.items()}


def names_url(session: Session, step: StepPlan) -> bool:
    """Whether an input of the step is a file by URL: what it is, only reading all of it can tell."""
    values = (
        session.run.info.params[given.source.name] if isinstance(given.source, Param) else given.source.value
        for given in step.inputs.values()
        if isinstance(given.source, (Param, Literal)) and given.type.name in (FILE, FOLDER)
    )
    return any(isinstance(value, dict) and "url" in value for value in values)


def _input_record(session: Session, source: Source, index: int | None) -> InputRecord:
    match source:
        case Literal(value=value, type=type_):
            return _value_record(session, value, type_, None)
        case Param(name=name):
            return _value_record(session, session.run.info.params[name], session.run.params[name].type, name)
        case Output(step=step, output=output):
            record = session.run.record(step, None)
            if record is None or record.state == "skipped":
                return InputRecord(step=step, output=output, skipped=True)
            found = record.outputs[output]
            return InputRecord(step=step, output=output, digests=found.digests, collection=found.elements is not None)
        case Element(step=step, output=output):
            return _element_record(session, step, output, index)
        case Collected(step=step, output=output):
            return _collected_record(session, step, output)
    raise AssertionError(source)


def _value_record(session: Session, value: Any, type_: ParamType, param: str | None) -> InputRecord:
    """A literal or parameter; of a file or folder with the digest of its content."""
    if type_.kind not in {"file", "folder"} or value is None:
        return InputRecord(param=param, value=value)
    content = parameter_content(session, param or "literal", value)
    return InputRecord(param=param, value=content, digests=(content["digest"],))


def _element_record(session: Session, step: str, output: str, index: int | None) -> InputRecord:
    found = element(session, step, output, index)
    return InputRecord(
        step=step, output=output, index=index, digests=found.digests, collection=found.elements is not None
    )


def element(session: Session, step: str, output: str, index: int | None) -> OutputRecord:
    """The output that element *index* of a mapped step reads."""
    assert index is not None
    if session.run.plan.by_name[step].mapped:
        record = session.run.record(step, index)
        assert record is not None
        return record.outputs[output]
    record = session.run.record(step, None)
    assert record is not None
    found = record.outputs[output]
    assert found.elements is not None
    return OutputRecord(artifact=found.elements[index], uses=found.uses)


def outputs_of(session: Session, source: Source, given: InputRecord) -> list[OutputRecord]:
    """The outputs that an input was read from; none of a literal, a parameter, and what was skipped."""
    if given.skipped:
        return []
    match source:
        case Output(step=step, output=output):
            record = session.run.record(step, None)
            return [] if record is None else [record.outputs[output]]
        case Element(step=step, output=output):
            return [element(session, step, output, given.index)]
        case Collected(step=step, output=output):
            return collected(session, step, output) or []
    return []


def collected(session: Session, step: str, output: str) -> list[OutputRecord] | None:
    """The outputs of all elements of a mapped step, or None if it was skipped."""
    if isinstance(session.resolver.settle(step)[step], (Skip, Record)):
        return None
    count = session.resolver.count(step)
    assert count is not None
    found = []
    for number in range(count):
        record = session.run.record(step, number)
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
