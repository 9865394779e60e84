"""The index: the runs of a project and what they made, listed at once. It knows nothing that the store does not."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from turnout.base import canonical
from turnout.base.cache_folder import cache_folder
from turnout.base.errors import ArtifactError
from turnout.base.texts import encodable
from turnout.catalog import database
from turnout.catalog.updating import Refreshed, refresh
from turnout.components.artifact_store import ArtifactStore
from turnout.model.records import MarkKind, RunInfo, RunState

T = TypeVar("T")
DAMAGE = (sqlite3.Error, *canonical.UNREADABLE, TypeError, ValueError, OverflowError)
"""What a damaged file comes to, be it SQLite that sees it, or who reads what is in it."""
_MOST = 2**63 - 1


class Listed(msgspec.Struct, frozen=True):
    """A run. ``state`` is None where only its engine can tell; ``mark`` is the kind of its newest mark."""

    info: RunInfo
    state: RunState | None
    mark: MarkKind | None


class ListedArtifact(msgspec.Struct, frozen=True):
    """An artifact of a committed step; ``element`` counts within a list output, ``name`` is a file's own."""

    run: str
    pipeline: str
    created: str
    step: str
    index: int | None
    output: str
    element: int | None
    digest: str
    type: str
    materializer: str
    size: int
    name: str


class Index:
    """The index of one project in one store; brought up to date by the first question, to be closed in the end.

    Runs that have succeeded are trusted as they were read; others are read anew each time, but for their records,
    which never change. A finished run that is changed later (resumed, invalidated) leaves a mark in the store.
    """

    def __init__(self, store: ArtifactStore[Any], project: str, folder: Path | None = None) -> None:
        self.store = store
        self.project = project
        name = canonical.digest(store.address.encode())[:20]
        self.path: Path | None = (folder or cache_folder() / "index") / f"{name}.sqlite"
        self.refreshed = Refreshed(0, 0, 0)
        self._open: sqlite3.Connection | None = None

    def rebuild(self) -> Refreshed:
        """Forget all that is known of every project of the store, and read this one anew."""
        self.close()
        if self.path is not None:
            database.remove(self.path)
        self._answer(lambda _: None)
        return self.refreshed

    def runs(
        self,
        *,
        pipeline: str | None = None,
        tags: Mapping[str, str] | None = None,
        states: Iterable[str] | None = None,
        since: str | None = None,
        limit: int | None = None,
    ) -> list[Listed]:
        """The runs, newest first.

        Args:
            states: only runs in one of these states, or whose state only their engine can tell.
            since: only runs created at this time (ISO 8601, UTC) or later.
        """
        where, values = _conditions(self.project, pipeline, since)
        for key, value in canonical.writable(tags or {}).items():
            where.append("EXISTS (SELECT 1 FROM tags WHERE tags.run = runs.id AND tags.key = ? AND tags.value = ?)")
            values.extend((key, value))
        if states is not None:
            wanted = list(states)
            where.append(f"(state IS NULL OR state IN ({', '.join('?' * len(wanted))}))")
            values.extend(wanted)
        chosen = f"SELECT run, info, state, mark FROM runs WHERE {' AND '.join(where)}"
        values.append(-1 if limit is None else min(limit, _MOST))
        newest = "ORDER BY created DESC, run DESC LIMIT ?"
        return self._answer(lambda db: [_listed(*row) for row in db.execute(f"{chosen} {newest}", values)])

    def artifacts(
        self,
        *,
        pipeline: str | None = None,
        step: str | None = None,
        kind: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        limit: int | None = None,
    ) -> list[ListedArtifact]:
        """The artifacts of all runs, those of the newest run first.

        Args:
            kind: only those of this type (``pandas:DataFrame``), or whose type ends so after a colon or a dot.
            digest: only those whose digest starts so.
        """
        where, values = _conditions(self.project, pipeline, since)
        for condition, value in (("step = ?", step), ("digest GLOB ?", digest and f"{digest}*")):
            if value:
                where.append(condition)
                values.append(encodable(value))
        if kind is not None:
            kind = encodable(kind)
            where.append("(type = ? OR substr(type, -length(?)) IN (?, ?))")
            values.extend((kind, f":{kind}", f":{kind}", f".{kind}"))
        query = (
            "SELECT runs.run, pipeline, created, step, nullif(element, -1), output, nullif(number, -1), digest, type, "
            "materializer, size, name "
            f"FROM runs JOIN outputs ON outputs.run = runs.id WHERE {' AND '.join(where)} "
            "ORDER BY created DESC, runs.run DESC LIMIT ?"
        )
        values.append(-1 if limit is None else min(limit, _MOST))
        names = ListedArtifact.__struct_fields__

        def read(db: sqlite3.Connection) -> list[ListedArtifact]:
            rows = db.execute(query, values)
            return [msgspec.convert(dict(zip(names, row, strict=True)), ListedArtifact) for row in rows]

        return self._answer(read)

    def steps(self) -> int:
        """How many steps and elements of them are known."""
        query = "SELECT count(*) FROM steps JOIN runs ON runs.id = steps.run WHERE project = ?"
        return int(self._answer(lambda db: db.execute(query, [self.project]).fetchone())[0])

    # The file

    def _answer(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with an index that is up to date; where its file is damaged, once more with a new one; where
        none can be kept, in memory."""
        try:
            return action(self._connection())
        except DAMAGE as error:
            if isinstance(error, sqlite3.Error) and "locked" in str(error):
                raise ArtifactError(
                    f"the index {self.path} is in use by another process",
                    why=f"waited {database.PATIENCE:g} seconds",
                    fix="try again; or set TURNOUT_CACHE to a folder of your own",
                ) from error
            self.close()
            what = f"the index {self.path} could not be used ({error})"
        try:
            if self.path is not None:
                database.remove(self.path)
            answer = action(self._connection())
        except (*DAMAGE, OSError):
            self.close()
            self.path = None
            answer = action(self._connection())
        print(f"turnout: {what}; it was {'made anew' if self.path else 'made for this call only'}", file=sys.stderr)
        return answer

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = database.connect(self.path)
            except OSError as error:
                raise sqlite3.DatabaseError(str(error)) from error
            self.refreshed = refresh(self._open, self.store, self.project)
        return self._open

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
            self._open = None


_decoder = msgspec.json.Decoder(RunInfo)


def _listed(run: str, data: bytes, state: RunState | None, mark: MarkKind | None) -> Listed:
    info = _decoder.decode(data)
    if info.id != run or state not in {None, *get_args(RunState)} or mark not in {None, *get_args(MarkKind)}:
        raise ValueError(f"what it says of the run {run} is of another")
    return Listed(info, state, mark)


def _conditions(project: str, pipeline: str | None, since: str | None) -> tuple[list[str], list[Any]]:
    where, values = ["project = ?"], [project]
    for condition, value in (("pipeline = ?", pipeline), ("created >= ?", since)):
        if value is not None:
            where.append(condition)
            values.append(encodable(value))
    return where, values
