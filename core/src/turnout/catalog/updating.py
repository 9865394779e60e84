"""Bringing an index up to date with its store: what is new is read, what is settled is trusted, what is gone goes."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

from turnout.base import clock
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.catalog import database
from turnout.catalog.reading import RunRow, Stamp, StepRow, read_run
from turnout.components.artifact_store import ArtifactStore
from turnout.model.plan import Plan
from turnout.stores import layout
from turnout.stores.stored_run import read_plan

SETTLING = 86_400.0
"""Seconds after the end of a failed or cancelled run in which it is read anew: an engine may well try it again."""
CHANGES_KEPT = 60 * 86_400.0
"""Seconds without a refresh after which the marks of changed runs are not relied on, and all runs are read anew."""
_READERS = 8
_BATCH = 200
_NAMED = 10
"""How many runs that cannot be read are named at most."""


class Refreshed(NamedTuple):
    """How many runs were read, how many are gone from the store, and how many could not be read."""

    read: int
    removed: int
    unreadable: int


def refresh(db: sqlite3.Connection, store: ArtifactStore[Any], project: str) -> Refreshed:
    """Read what the index does not know of a project's runs."""
    changes = set(store.children(layout.changes(project)))  # before the runs: a change meanwhile is seen the next time
    present = set(store.children(layout.runs(project)))
    known = {run: (state, ended) for run, state, ended in _all(db, "SELECT run, state, ended FROM runs", project)}
    seen = {name for (name,) in _all(db, "SELECT name FROM changes", project)}
    changed = {name.partition(".")[0] for name in changes - seen}
    trusted = _is_recent(db, project)
    stale = [
        run
        for run in sorted(present)
        if run in changed or run not in known or not trusted or not _is_settled(*known[run])
    ]
    unreadable = 0
    for batch in _read(db, store, project, stale):
        with database.transaction(db):
            for run, row in batch.items():
                if isinstance(row, ArtifactError):
                    unreadable += 1
                    if unreadable <= _NAMED:
                        print(f"turnout: {row.what}; it is left out", file=sys.stderr)
                _replace(db, project, run, None if isinstance(row, ArtifactError) else row)
    if unreadable > _NAMED:
        print(f"turnout: {unreadable - _NAMED} more runs cannot be read, and are left out", file=sys.stderr)
    removed = known.keys() - present
    with database.transaction(db):
        for run in removed:
            _replace(db, project, run, None)
        if changes != seen:
            db.execute("DELETE FROM changes WHERE project = ?", [project])
            db.executemany("INSERT INTO changes VALUES (?, ?)", [(project, name) for name in changes])
        db.execute("INSERT OR REPLACE INTO refreshed VALUES (?, ?)", [project, time.time()])
    return Refreshed(len(stale) - unreadable, len(removed), unreadable)


def _all(db: sqlite3.Connection, query: str, project: str) -> list[Any]:
    return db.execute(f"{query} WHERE project = ?", [project]).fetchall()


def _is_recent(db: sqlite3.Connection, project: str) -> bool:
    """Whether the project was refreshed within the time that marks of changes are kept."""
    return any(last > time.time() - CHANGES_KEPT for (last,) in _all(db, "SELECT time FROM refreshed", project))


def _is_settled(state: str | None, ended: str) -> bool:
    """Whether a run need not be read again."""
    if state is None:
        return False
    return state == "succeeded" or clock.seconds_between(ended, clock.now()) > SETTLING


def _read(
    db: sqlite3.Connection, store: ArtifactStore[Any], project: str, runs: list[str]
) -> Iterator[dict[str, RunRow | ArtifactError | None]]:
    """The runs as they are in the store, in batches."""

    @lru_cache
    def plan(digest: str) -> Plan | None:
        try:
            return read_plan(store, digest)
        except TurnoutError:
            return None

    def read(run: str, known: dict[tuple[str, int | None], Stamp]) -> RunRow | ArtifactError | None:
        try:
            return read_run(store, project, run, known, plan)
        except ArtifactError as error:
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(runs), _BATCH):
            batch = runs[start : start + _BATCH]
            known = [_known(db, project, run) for run in batch]
            yield dict(zip(batch, pool.map(read, batch, known), strict=True))


def _known(db: sqlite3.Connection, project: str, run: str) -> dict[tuple[str, int | None], Stamp]:
    rows = db.execute(
        "SELECT step, element, modified, size FROM steps JOIN runs ON runs.id = steps.run "
        "WHERE project = ? AND runs.run = ? AND modified IS NOT NULL",
        [project, run],
    )
    return {(step, _index(element)): (modified, size) for step, element, modified, size in rows}


def _replace(db: sqlite3.Connection, project: str, run: str, row: RunRow | None) -> None:
    """Put what is known of a run in the place of what was; None where there is no such run."""
    found = db.execute("SELECT id FROM runs WHERE project = ? AND run = ?", [project, run]).fetchone()
    if row is None:
        if found is not None:
            db.execute("DELETE FROM runs WHERE id = ?", found)
        return
    info, values = row.info, [row.info.pipeline, row.info.created, row.state, row.mark, row.ended, row.data]
    if found is None:
        columns = "project, run, pipeline, created, state, mark, ended, info"
        query = f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        number = db.execute(query, [project, run, *values]).lastrowid
    else:
        (number,) = found
        query = "UPDATE runs SET pipeline = ?, created = ?, state = ?, mark = ?, ended = ?, info = ? WHERE id = ?"
        db.execute(query, [*values, number])
        db.execute("DELETE FROM tags WHERE run = ?", [number])
        known = db.execute("SELECT step, element FROM steps WHERE run = ?", [number]).fetchall()
        gone = [(number, *step) for step in known if (step[0], _index(step[1])) not in row.unchanged]
        db.executemany("DELETE FROM steps WHERE run = ? AND step = ? AND element = ?", gone)
    db.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(number, *tag) for tag in info.options.tags.items()])
    db.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _step_values(number, row.steps))
    db.executemany("INSERT INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _output_values(number, row.steps))


def _step_values(run: Any, steps: Iterable[StepRow]) -> Iterator[tuple[Any, ...]]:
    for one in steps:
        stamp = one.stamp or (None, None)
        yield (run, one.step, _number(one.index), one.state, one.started, one.ended, one.taken_from, *stamp)


def _output_values(run: Any, steps: Iterable[StepRow]) -> Iterator[tuple[Any, ...]]:
    for one in steps:
        for made in one.outputs:
            place = (run, one.step, _number(one.index), made.output, _number(made.element))
            artifact = made.artifact
            yield (*place, artifact.digest, artifact.type, artifact.materializer, artifact.size, artifact.name)


def _number(index: int | None) -> int:
    return -1 if index is None else index


def _index(number: int) -> int | None:
    return None if number < 0 else number
