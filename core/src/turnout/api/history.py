"""What the store knows of runs: listed, found by the start of an id, and what their steps left behind."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import msgspec

from turnout.base import names
from turnout.base.errors import ArtifactError, ConfigError
from turnout.components.artifact_store import ArtifactStore
from turnout.model import records
from turnout.model.documents import read_info, read_record
from turnout.model.plan import Plan
from turnout.model.records import Attempt, Failure, Record, RunInfo
from turnout.runtime.state import marks_of
from turnout.stores import layout

_WHOLE_ID = re.compile(r"[a-z2-7]{20}\Z")
_WITH_STEP = re.compile(r"(?P<run>latest|[a-z2-7]{4,20})[:/](?P<step>.+)\Z")


class StepSummary(msgspec.Struct, frozen=True):
    """A step, or an element of a mapped step, of a run: its record if it is committed, and its attempts in order.

    ``damaged`` is why there is no record although the step was committed; ``lost`` why it failed, where it has left
    nothing on record. ``running`` is its engine's word, where it has left nothing yet.
    """

    step: str
    index: int | None
    record: Record | None
    attempts: tuple[Attempt, ...]
    damaged: ArtifactError | None = None
    lost: Failure | None = None
    running: bool = False

    @property
    def failure(self) -> Failure | None:
        """Why it failed for good; None where it is committed."""
        if self.record is not None:
            return None
        return self.attempts[-1].failure if self.attempts else self.lost

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return names.label(self.step, self.index)


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
    runs = store.children(layout.runs(project))
    matches = [run for run in runs if run.startswith(wanted.lower())]
    matches = [run for run in matches if store.exists(layout.run(project, run))]  # stopped before it began: marks alone
    if len(matches) == 1:
        key = layout.run(project, matches[0])
        if (data := store.read(key)) is not None:
            return read_info(data, project, matches[0], key)
    if not matches:
        apart = _WITH_STEP.match(wanted)
        if apart and apart["run"] != "latest" and not any(run.startswith(apart["run"]) for run in runs):
            apart = None
        raise ConfigError(
            f"the project {project} has no run {wanted[:60]!r} in {store.address}",
            why="a run and a step are named apart" if apart else None,
            fix=f"write `{apart['run']} {apart['step'][:60]}`"
            if apart
            else "see `turnout runs list`; another stack's runs need its --stack",
        )
    raise ConfigError(f"{wanted[:60]!r} is the start of {len(matches)} run ids", fix="give more of it")


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
        step = names.place(label)
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
    ends = _ends_seen(store, plan.project, run) if any(len(several) > 1 for several in attempts.values()) else {}

    def order(attempt: Attempt) -> tuple[float, str, str]:
        """A clock may be set back between an end of the run and what came after it."""
        return ends.get(attempt.id, math.inf), attempt.started, attempt.id

    found = [
        StepSummary(*step, record, tuple(sorted(attempts.get(step, ()), key=order)), damaged.get(step))
        for step, record in kept.items()
    ]
    return sorted(
        found, key=lambda one: (position.get(one.step, len(position)), -1 if one.index is None else one.index)
    )


def _ends_seen(store: ArtifactStore[Any], project: str, run: str) -> dict[str, int]:
    """For each attempt that an end of the run saw without a record, the number of the first such end."""
    seen: dict[str, int] = {}
    for number, mark in enumerate(marks_of(store, project, run)):
        for ids in (mark.open or {}).values():
            for attempt in ids:
                seen.setdefault(attempt, number)
    return seen
