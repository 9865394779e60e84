"""The state of a run: from its marks and records, and only where these leave it open by what its engine says.

Every command asks here. No engine's word overrules a record, and no clock decides: marks are numbered, and attempts
have ids.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from turnout.base import clock
from turnout.base.errors import ArtifactError, RunError
from turnout.model import records
from turnout.model.records import Mark, MarkKind, RunInfo, RunState
from turnout.runtime.resolution import Resolver, Settled
from turnout.stores import layout

if TYPE_CHECKING:
    from turnout.components.artifact_store import ArtifactStore
    from turnout.components.orchestrator import RunStatus
    from turnout.model.plan import Plan
    from turnout.stores.stored_run import Run

AskEngine = Callable[["RunInfo"], "RunStatus"]
ENDED = frozenset[RunState]({"succeeded", "failed", "cancelled"})
RECORD = "record.json"
ATTEMPTS = "attempts/"
Files = Mapping[str, Collection[str]]
"""For each label with anything on record the names below its folder: ``record.json``, ``attempts/ID.json``."""


class Numbered(NamedTuple):
    """A mark and its number; -1 for none, and for a mark of turnout 0.1."""

    number: int
    mark: Mark | None

    @property
    def kind(self) -> MarkKind | None:
        """What it marks."""
        return None if self.mark is None else self.mark.kind


def newest_mark(store: ArtifactStore[Any], project: str, run: str, keys: Collection[str] | None = None) -> Numbered:
    """The newest mark of a run that can be read; what cannot be is named on standard error, and left out.

    Args:
        keys: the keys of the run's folder, where they have been listed.
    """
    for folder, new in ((layout.marks(project, run), True), (layout.old_marks(project, run), False)):
        names = store.children(folder) if keys is None else [k[len(folder) + 1 :] for k in keys if k.startswith(folder)]
        numbers = [int(stem) for name in names if (stem := name.removesuffix(".json")).isdecimal()]
        for number in sorted(numbers, reverse=True):
            if (mark := _read(store, f"{folder}/{number}.json")) is not None:
                return Numbered(max(numbers) if new else -1, mark)
        if numbers and new:
            return Numbered(max(numbers), None)
    return Numbered(-1, None)


def _read(store: ArtifactStore[Any], key: str) -> Mark | None:
    data = store.read(key)
    try:
        return None if data is None else records.decode(data, Mark, key)
    except ArtifactError as error:
        print(f"turnout: {error.what}; it is left out", file=sys.stderr)
        return None


def marks_of(store: ArtifactStore[Any], project: str, run: str) -> list[Mark]:
    """The marks of a run in their order, without those of turnout 0.1."""
    numbers = range(newest_mark(store, project, run).number + 1)
    found = [_read(store, layout.mark(project, run, number)) for number in numbers]
    return [mark for mark in found if mark is not None]


def append_mark(store: ArtifactStore[Any], project: str, run: str, mark: Mark, *, after: int | None = None) -> bool:
    """Append a mark.

    Args:
        after: the number that the newest must have; by default, whatever there is.

    Returns:
        Whether it was appended; always, without *after*.
    """
    number = newest_mark(store, project, run).number if after is None else after
    while not store.create(layout.mark(project, run, number + 1), records.encode(mark)):
        if after is not None:
            return False
        number += 1
    if (mark.kind, number + 1) != ("finish", 1):  # it may have ended before: whoever remembers that end looks again
        store.create(layout.change(project, run, f"mark-{number + 1}"), b"{}")
    return True


def files_of(store: ArtifactStore[Any], project: str, run: str) -> dict[str, set[str]]:
    """What the steps of a run have on record."""
    folder, found = layout.steps(project, run), dict[str, set[str]]()
    for entry in store.list(folder):
        label, _, name = entry.key.removeprefix(f"{folder}/").partition("/")
        found.setdefault(label, set()).add(name)
    return found


def attempt_ids(names: Collection[str]) -> tuple[str, ...]:
    """The ids of the attempts among the names below a step's folder."""
    return tuple(sorted(n[len(ATTEMPTS) : -len(".json")] for n in names if n.startswith(ATTEMPTS)))


def outcomes(run: Run) -> Iterator[tuple[str, Settled]]:
    """Every step, or each element of a mapped one that is not skipped whole, by its label: with its record, with a
    skip that follows from the records, or with None where it is neither.

    Raises:
        ArtifactError: when a record is damaged.
    """
    resolver = Resolver(run.plan, run.record)
    settled = resolver.settle_all()
    for step in run.plan.steps:
        whole = settled[step.name]
        try:
            count = resolver.count(step.name) if step.mapped and whole is None else None
        except RunError:
            count = None
        if count is None:
            yield step.name, whole
        else:
            yield from ((f"{step.name}.{index}", run.record(step.name, index)) for index in range(count))


def is_complete(run: Run, files: Files) -> bool:
    """Whether every step is committed, or skipped as follows from the records.

    Raises:
        ArtifactError: when a record is damaged.
    """
    return _may_be_complete(run.plan, files) and all(settled is not None for _, settled in outcomes(run))


def _may_be_complete(plan: Plan, files: Files) -> bool:
    """Whether all steps that cannot be skipped have records: most runs in progress are told apart without reading."""
    skippable: set[str] = set()
    for step in plan.steps:
        if step.guards or not skippable.isdisjoint(step.upstream):
            skippable.add(step.name)
        elif not step.mapped and RECORD not in files.get(step.name, ()):
            return False
    return True


def decided(mark: Mark | None, files: Files, complete: Callable[[], bool]) -> RunState | None:
    """The state as marks and records have it; None where only the engine can tell.

    Args:
        mark: the newest.
        complete: asked where the mark leaves it open.
    """
    if mark is not None and mark.kind == "finish" and _stands(mark, files):
        return mark.state
    return "succeeded" if complete() else None


def _stands(mark: Mark, files: Files) -> bool:
    """Whether nothing has come since of what a finish mark saw uncommitted."""
    return all(
        RECORD not in (names := files.get(label, ())) and set(attempt_ids(names)) <= set(ids)
        for label, ids in (mark.open or {}).items()
    )


def with_engine(kind: MarkKind | None, said: RunState) -> RunState:
    """The state of a run that marks and records leave open: not all of it is committed.

    Args:
        kind: what the newest mark is.
        said: the engine's word.
    """
    if said == "running":
        return said
    if kind == "cancel":
        return "cancelled"
    if said == "succeeded" or (kind == "invalidate" and said == "unknown"):
        return "failed"
    return said


def state_of_records(run: Run) -> tuple[RunState | None, Mark | None]:
    """As :func:`decided`, of a run, and its newest mark."""
    info, store = run.info, run.store
    mark = newest_mark(store, info.project, info.id).mark
    if mark is not None and mark.kind == "finish" and mark.state == "succeeded":
        return mark.state, mark
    files = files_of(store, info.project, info.id)

    def complete() -> bool:
        with contextlib.suppress(ArtifactError):  # who looks at the step is told
            return is_complete(run, files)
        return False

    return decided(mark, files, complete), mark


def run_state(run: Run, ask: AskEngine | None = None) -> RunState:
    """The state of a run.

    Args:
        ask: asks the engine, where marks and records leave it open; without it, or where the engine does not know, it
            is ``unknown`` then.
    """
    state, mark = state_of_records(run)
    if state is not None:
        return state
    return with_engine(mark.kind if mark else None, ask(run.info).state if ask is not None else "unknown")


def closing_mark(store: ArtifactStore[Any], project: str, run: str) -> Mark | None:
    """The newest mark of a run, if it is a finish mark that stands."""
    mark = newest_mark(store, project, run).mark
    if mark is None or mark.kind != "finish" or (mark.open and not _stands(mark, files_of(store, project, run))):
        return None
    return mark


def mark_cancelled(store: ArtifactStore[Any], plan: Plan, run: str) -> None:
    """Mark that a run was stopped on purpose, unless it has ended: its engine may call that a failure."""
    mark, done = Mark(kind="cancel", time=clock.now()), False
    while not done:
        number = newest_mark(store, plan.project, run).number  # before the look: an end that comes meanwhile is seen
        ended = closing_mark(store, plan.project, run) is not None
        done = ended or append_mark(store, plan.project, run, mark, after=number)
