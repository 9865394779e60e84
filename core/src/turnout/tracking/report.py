"""What a tracker is told of an attempt: what it logged, and, where it succeeded, what it read and made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from turnout.artifacts.artifacts import Artifacts
from turnout.base import names
from turnout.base.errors import ArtifactError
from turnout.components.tracker import Batch, Traced, Tracker
from turnout.model.records import Artifact, InputRecord, Logged, OutputRecord, Record
from turnout.stores import layout
from turnout.stores.stored_run import Run


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
        return names.label(self.step, self.index)

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


class Tracer:
    """What of a run's reports its tracker takes.

    Args:
        artifacts: gives what reads the artifacts that it asks for.
    """

    def __init__(self, run: Run, tracker: Tracker[Any], artifacts: Callable[[], Artifacts]) -> None:
        self._run = run
        self._tracker = tracker
        self._artifacts = artifacts
        self._traces = type(tracker).traces is not Tracker.traces

    def has_any(self, report: Report) -> bool:
        """Whether there is anything in a report for the tracker."""
        return report.logged != Logged() or any(True for _ in chain(self._inputs(report), self._outputs(report)))

    def batch(self, report: Report, external_id: str) -> Batch:
        """All of a report as the tracker takes it.

        Raises:
            ArtifactError: when an artifact that was logged is gone or damaged.
        """
        folder = self._artifacts().local_folder
        return Batch(
            run=self._run.info,
            external_id=external_id,
            step=report.step,
            index=report.index,
            attempt=report.attempt,
            points=report.logged.points,
            params=report.logged.params,
            artifacts={name: folder(artifact) for name, artifact in report.logged.artifacts.items()},
            tags=report.logged.tags,
            inputs=tuple(self._inputs(report)),
            outputs=tuple(self._outputs(report)),
        )

    def _traced(self, name: str, artifact: Artifact, step: str | None, output: str) -> Traced:
        artifacts = self._artifacts()
        return Traced(
            name=name,
            artifact=artifact,
            step=step,
            output=output,
            address=f"{self._run.store.address}/{layout.artifact(artifact.digest)}/files",
            files=partial(artifacts.local_folder, artifact),
            load=partial(artifacts.load, artifact),
        )

    def _inputs(self, report: Report) -> Iterator[Traced]:
        for name, given in report.inputs.items() if self._traces else ():
            made = self._made(given)
            for number, digest in enumerate(given.digests):
                artifact = made.get(digest)
                if artifact is not None and self._tracker.traces(artifact, made=False):
                    shown = f"{name}[{number}]" if given.collection else name
                    yield self._traced(shown, artifact, given.step, given.output or given.param or name)

    def _outputs(self, report: Report) -> Iterator[Traced]:
        for name, output in report.outputs.items() if self._traces else ():
            for number, artifact in enumerate(output.artifacts):
                if self._tracker.traces(artifact, made=True):
                    shown = name if output.elements is None else f"{name}[{number}]"
                    yield self._traced(shown, artifact, report.step, name)

    def _made(self, given: InputRecord) -> dict[str, Artifact]:
        """The artifacts of an input by digest, from the records of the steps that made them."""
        if given.step is None:
            return dict(self._of_files(given.digests))
        whole = self._run.record(given.step, None)
        if whole is not None:
            records: Iterable[Record | None] = [whole]
        else:
            elements = range(len(given.digests)) if given.index is None else (given.index,)
            records = (self._run.record(given.step, number) for number in elements)
        made = (record.outputs[given.output or ""] for record in records if record is not None and record.outputs)
        return {artifact.digest: artifact for output in made for artifact in output.artifacts}

    def _of_files(self, digests: Iterable[str]) -> Iterator[tuple[str, Artifact]]:
        """The artifacts of files and folders given as parameters; one that is gone is no input to tell of."""
        for digest in digests:
            with suppress(ArtifactError):
                yield digest, self._artifacts().find(digest)
