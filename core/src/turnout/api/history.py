"""What the store knows of runs: listed, found by the start of an id, their states derived from marks and attempts."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Literal

import msgspec

from turnout import canonical
from turnout.catalog.reading import step_of
from turnout.components.artifact_store import ArtifactStore
from turnout.components.orchestrator import RunStatus
from turnout.errors import ArtifactError, ConfigError
from turnout.plan.model import Plan
from turnout.records import model as records
from turnout.records.model import Attempt, FinishMark, Record, RunInfo, RunState
from turnout.records.reading import read_info, read_record
from turnout.stores import layout

AskEngine = Callable[[RunInfo], RunStatus]
StepStateName = Literal["succeeded", "skipped", "failed", "retrying", "running", "waiting", "not run"]
_WHOLE_ID = re.compile(r"[a-z2-7]{20}\Z")


class StepSummary(msgspec.Struct, frozen=True):
    """A step, or an element of a mapped step, of a run: its record if it is committed, and its attempts in order.

    ``damaged`` is why there is no record although the step was committed.
    """

    step: str
    index: int | None
    record: Record | None
    attempts: tuple[Attempt, ...]
    damaged: ArtifactError | None = None

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return self.step if self.index is None else f"{self.step}.{self.index}"


def run_infos(store: ArtifactStore[Any], project: str, limit: int | None = None) -> list[RunInfo]:
    """The runs of a project, newest first; one whose ``run.json`` cannot be read is left out."""
    from turnout.catalog.index import Index  # brings SQLite, which most commands do without

    with closing(Index(store, project)) as index:
        return [one.info for one in index.runs(limit=limit)]


def find_run(store: ArtifactStore[Any], project: str, wanted: str) -> RunInfo:
    """The run whose id starts with *wanted*; ``latest`` is the newest.

    Raises:
        ConfigError: when there is none, or more than one.
    """
    if wanted == "latest":
        newest = run_infos(store, project, limit=1)
        if newest:
            return newest[0]
        raise ConfigError(
            f"the project {project} has no runs in {store.address}", fix="start one: turnout run PIPELINE"
        )
    if _WHOLE_ID.match(wanted.lower()) and (data := store.read(layout.run(project, wanted.lower()))) is not None:
        return read_info(data, project, wanted.lower(), layout.run(project, wanted.lower()))
    matches = [run for run in store.children(layout.runs(project)) if run.startswith(wanted.lower())]
    if len(matches) == 1:
        key = layout.run(project, matches[0])
        if (data := store.read(key)) is not None:
            return read_info(data, project, matches[0], key)
    if not matches:
        raise ConfigError(
            f"the project {project} has no run {wanted!r} in {store.address}",
            fix="see `turnout runs list`; another stack's runs need its --stack",
        )
    raise ConfigError(f"{wanted!r} is the start of {len(matches)} run ids", fix="give more of it")


def step_summaries(
    store: ArtifactStore[Any],
    plan: Plan,
    run: str,
    known: Mapping[tuple[str, int | None], Record],
    *,
    attempted: bool = True,
) -> list[StepSummary]:
    """Every step of a run that left something behind, in the plan's order, elements by index.

    What cannot be read is named on standard error, and left out.

    Args:
        known: records that need not be read.
        attempted: whether there may be more than these.
    """
    folder = layout.steps(plan.project, run)
    position = {step.name: number for number, step in enumerate(plan.steps)}
    kept: dict[tuple[str, int | None], Record | None] = {} if attempted else {**known}
    attempts: dict[tuple[str, int | None], list[Attempt]] = {}
    damaged: dict[tuple[str, int | None], ArtifactError] = {}
    for entry in store.list(folder) if attempted else ():
        label, _, name = entry.key.removeprefix(folder + "/").partition("/")
        step = step_of(label)
        record = known.get(step) if name == "record.json" else None
        data = None if record is not None else store.read(entry.key)
        if record is None and data is None:
            continue
        if step[0] not in plan.by_name:
            print(f"turnout: {entry.key} is of no step of the run's plan; it is left out", file=sys.stderr)
            continue
        try:
            kept.setdefault(step, None)
            if name == "record.json":
                kept[step] = record or read_record(data or b"", plan, *step, entry.key)
            else:
                attempts.setdefault(step, []).append(records.decode(data or b"", Attempt, entry.key))
        except ArtifactError as error:
            if name == "record.json":
                damaged[step] = error
            print(f"turnout: {error.what}; it is left out", file=sys.stderr)
    found = [
        StepSummary(
            *step,
            record,
            tuple(sorted(attempts.get(step, ()), key=lambda one: (one.started, one.id))),
            damaged.get(step),
        )
        for step, record in kept.items()
    ]
    return sorted(
        found, key=lambda one: (position.get(one.step, len(position)), -1 if one.index is None else one.index)
    )


def newest_mark(store: ArtifactStore[Any], project: str, run: str) -> FinishMark | None:
    """The newest finish mark of a run."""
    marks = []
    for name in store.children(layout.finishes(project, run)):
        key = f"{layout.finishes(project, run)}/{name}"
        try:
            if (data := store.read(key)) is not None:
                marks.append(records.decode(data, FinishMark, key))
        except ArtifactError as error:
            print(f"turnout: {error.what}; it is left out", file=sys.stderr)
    return max(marks, key=lambda mark: mark.time, default=None)


def run_state(store: ArtifactStore[Any], info: RunInfo, ask: AskEngine | None = None) -> RunState:
    """The state of a run: its newest finish mark's if that is newer than every attempt, else what its engine says.

    An attempt whose step another one committed does not count: a call that came late changes nothing.

    Args:
        ask: asks the engine; without it, or where the engine does not know, the state is ``unknown``.
    """
    mark = newest_mark(store, info.project, info.id)
    if mark is not None and not _goes_on(store, info, mark.time):
        return mark.state
    return ask(info).state if ask is not None else "unknown"


class _Ended(msgspec.Struct):
    ended: str = ""


class _Committed(msgspec.Struct):
    attempt: str | None = None


def _goes_on(store: ArtifactStore[Any], info: RunInfo, since: str) -> bool:
    """Whether there is an attempt that ended after *since* and was not overtaken."""
    for entry in store.list(layout.steps(info.project, info.id)):
        step, is_attempt, name = entry.key.partition("/attempts/")
        data = store.read(entry.key) if is_attempt else None
        with contextlib.suppress(*canonical.UNREADABLE):  # what cannot be read tells nothing
            if data is not None and msgspec.json.decode(data, type=_Ended).ended > since:
                record = store.read(f"{step}/record.json")
                if record is None or f"{msgspec.json.decode(record, type=_Committed).attempt}.json" == name:
                    return True
    return False
