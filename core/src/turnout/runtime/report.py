"""What a tracker is told of an attempt: what it logged, and, where it succeeded, what it read and made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.base.errors import ArtifactError
from turnout.components.tracker import Batch, Traced, Tracker
from turnout.model.records import Artifact, InputRecord, Logged, OutputRecord, Record
from turnout.stores import layout

if TYPE_CHECKING:
    from turnout.runtime.session import Session


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt at a step; ``inputs`` and ``outputs`` are those of a step that has succeeded."""

    step: str
    index: int | None = None
    attempt: str
    logged: Logged = Logged()
    inputs: dict[str, InputRecord] = {}
    outputs: dict[str, OutputRecord] = {}

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return self.step if self.index is None else f"{self.step}.{self.index}"

    @classmethod
    def of(cls, record: Record) -> Report:
        """The report of a committed step."""
        return cls(
            step=record.step,
            index=record.index,
            attempt=record.attempt or "",
            logged=record.logged,
            inputs=record.inputs,
            outputs=record.outputs,
        )


def worth_sending(session: Session, tracker: Tracker[Any], report: Report) -> bool:
    """Whether there is anything in it for the tracker."""
    if report.logged != Logged():
        return True
    return any(True for _ in _inputs(session, tracker, report)) or any(True for _ in _outputs(tracker, report))


def batch(session: Session, tracker: Tracker[Any], report: Report, external_id: str) -> Batch:
    """All of a report as the tracker takes it.

    Raises:
        ArtifactError: when an artifact that was logged is gone or damaged.
    """
    return Batch(
        run=session.run,
        external_id=external_id,
        step=report.step,
        index=report.index,
        attempt=report.attempt,
        points=report.logged.points,
        params=report.logged.params,
        artifacts={name: session.artifacts.local_folder(one) for name, one in report.logged.artifacts.items()},
        inputs=tuple(_traced(session, *found) for found in _inputs(session, tracker, report)),
        outputs=tuple(_traced(session, *found) for found in _outputs(tracker, report)),
    )


def _traced(session: Session, name: str, artifact: Artifact, step: str | None, output: str) -> Traced:
    return Traced(
        name=name,
        artifact=artifact,
        step=step,
        output=output,
        address=f"{session.store.address}/{layout.artifact(artifact.digest)}/files",
        files=partial(session.artifacts.local_folder, artifact),
        load=partial(session.artifacts.load, artifact),
    )


def _inputs(session: Session, tracker: Tracker[Any], report: Report) -> Iterator[tuple[str, Artifact, str | None, str]]:
    if type(tracker).traces is Tracker.traces:
        return
    for name, given in report.inputs.items():
        found = _artifacts(session, given)
        for number, digest in enumerate(given.digests):
            artifact = found.get(digest)
            if artifact is not None and tracker.traces(artifact, made=False):
                shown = f"{name}[{number}]" if given.collection else name
                yield shown, artifact, given.step, given.output or given.param or name


def _outputs(tracker: Tracker[Any], report: Report) -> Iterator[tuple[str, Artifact, str | None, str]]:
    if type(tracker).traces is Tracker.traces:
        return
    for name, output in report.outputs.items():
        for number, artifact in enumerate(_each(output)):
            if tracker.traces(artifact, made=True):
                yield name if output.elements is None else f"{name}[{number}]", artifact, report.step, name


def _artifacts(session: Session, given: InputRecord) -> dict[str, Artifact]:
    """The artifacts of an input by digest, from the records of the steps that made them."""
    if given.step is None:
        return dict(_of_files(session, given.digests))
    whole = session.record(given.step, None)
    if whole is not None:
        records: Iterable[Record | None] = [whole]
    else:
        elements = range(len(given.digests)) if given.index is None else (given.index,)
        records = (session.record(given.step, number) for number in elements)
    made = (record.outputs[given.output or ""] for record in records if record is not None and record.outputs)
    return {artifact.digest: artifact for output in made for artifact in _each(output)}


def _of_files(session: Session, digests: Iterable[str]) -> Iterator[tuple[str, Artifact]]:
    """The artifacts of files and folders given as parameters; one that is gone is no input to tell of."""
    for digest in digests:
        try:
            yield digest, session.artifacts.find(digest)
        except ArtifactError:
            continue


def _each(output: OutputRecord) -> tuple[Artifact, ...]:
    if output.elements is not None:
        return output.elements
    return () if output.artifact is None else (output.artifact,)
