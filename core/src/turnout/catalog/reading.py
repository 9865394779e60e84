"""What the index keeps of a run, read from the store: its ``run.json``, newest mark, records, and failed attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from turnout.base import names
from turnout.base.errors import ArtifactError
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.model import records
from turnout.model.documents import read_info
from turnout.model.plan import Plan
from turnout.model.records import Artifact, Attempt, MarkKind, Record, RunInfo, RunState
from turnout.runtime.state import RECORD, decided, is_complete, newest_mark
from turnout.stores import layout
from turnout.stores.stored_run import Run

T = TypeVar("T", bound=msgspec.Struct)
Stamp = tuple[float, int]
"""When an object was written, and its size: one that has both still is the same."""


class OutputRow(msgspec.Struct, frozen=True):
    """One artifact of a step; ``element`` counts within a list output."""

    output: str
    element: int | None
    artifact: Artifact


class StepRow(msgspec.Struct, frozen=True):
    """A step, or an element of a mapped one: its record's state, ``failed`` where it has attempts only, ``damaged``
    where its record cannot be read. ``stamp`` is the record's, None without one."""

    step: str
    index: int | None
    state: str
    started: str
    ended: str
    taken_from: str | None
    stamp: Stamp | None
    outputs: tuple[OutputRow, ...] = ()


class RunRow(msgspec.Struct, frozen=True):
    """A run. ``state`` is None where only its engine can tell; ``mark`` and ``ended`` are kind and time of its newest
    mark; ``unchanged`` are the steps that were known already."""

    data: bytes
    info: RunInfo
    state: RunState | None
    mark: MarkKind | None
    ended: str
    steps: tuple[StepRow, ...]
    unchanged: frozenset[tuple[str, int | None]]


def read_run(
    store: ArtifactStore[Any],
    project: str,
    run: str,
    known: Mapping[tuple[str, int | None], Stamp],
    plan: Callable[[str], Plan | None],
) -> RunRow | None:
    """Read a run; None where it has no ``run.json`` (yet).

    Args:
        known: the stamps of records that were read before; those that are the same are not read again.
        plan: gives the plan of a digest, None where there is none that can be read.

    Raises:
        ArtifactError: when ``run.json`` is damaged, or of a newer format. What else is so is passed over.
    """
    data = store.read(layout.run(project, run))
    if data is None:
        return None
    info = read_info(data, project, run, layout.run(project, run))
    files: dict[str, dict[str, Entry]] = {}
    folder, keys = layout.steps(project, run) + "/", []
    for entry in store.list(layout.run_folder(project, run)):
        keys.append(entry.key)
        if entry.key.startswith(folder):
            label, _, name = entry.key.removeprefix(folder).partition("/")
            files.setdefault(label, {})[name] = entry
    steps, unchanged = [], set()
    for label, entries in files.items():
        step = names.place(label)
        record = entries.get(RECORD)
        if record is not None and known.get(step) == (record.modified, record.size):
            unchanged.add(step)
        elif (row := _step(store, step, record, entries)) is not None:
            steps.append(row)

    def complete() -> bool:
        found = plan(info.plan)
        with suppress(ArtifactError):
            return found is not None and is_complete(Run(store, found, info), files)
        return False

    mark = newest_mark(store, project, run, keys).mark
    return RunRow(
        data=data,
        info=info,
        state=decided(mark, files, complete),
        mark=None if mark is None else mark.kind,
        ended="" if mark is None else mark.time,
        steps=tuple(steps),
        unchanged=frozenset(unchanged),
    )


def _step(
    store: ArtifactStore[Any], step: tuple[str, int | None], entry: Entry | None, entries: Mapping[str, Entry]
) -> StepRow | None:
    if entry is not None:
        record = _read(store, entry.key, Record)
        if record is None:
            return StepRow(*step, "damaged", "", "", None, None)
        return StepRow(
            *step,
            state=record.state,
            started=record.started,
            ended=record.ended,
            taken_from=record.cached_from or record.reused_from,
            stamp=(entry.modified, entry.size),
            outputs=tuple(OutputRow(name, *one) for name, output in record.outputs.items() for one in output.numbered),
        )
    found = [_read(store, one.key, Attempt) for name, one in entries.items() if name.startswith("attempts/")]
    last = max((attempt for attempt in found if attempt is not None), key=lambda one: one.ended, default=None)
    return None if last is None else StepRow(*step, "failed", last.started, last.ended, None, None)


def _read(store: ArtifactStore[Any], key: str, kind: type[T]) -> T | None:
    """A document; None where it is gone meanwhile, or cannot be read."""
    data = store.read(key)
    try:
        return None if data is None else records.decode(data, kind, key)
    except ArtifactError:
        return None
