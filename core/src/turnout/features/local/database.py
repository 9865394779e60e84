"""What is online, in one SQLite file: an entity's newest row by view and key, read by many while one writes."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from turnout.base.errors import RunError

_SCHEMA = """
create table if not exists views (
    name text primary key, definition text not null, keys text not null, features text not null, until integer
);
create table if not exists entities (
    view text not null, key blob not null, since integer not null, created integer not null, body blob not null,
    primary key (view, key)
) without rowid;
"""
_UPSERT = """
insert into entities (view, key, since, created, body) values (?, ?, ?, ?, ?)
on conflict (view, key) do update set since = excluded.since, created = excluded.created, body = excluded.body
where (excluded.since, excluded.created) >= (entities.since, entities.created)
"""
_READ = """
select since, body, definition from views left join entities on view = name and key = ? where name = ?
"""
UNWRITTEN = -(2**63)
"""Stands for the time at which a row was written where nothing says it."""
WAIT = 600.0
"""Seconds to wait for another process that writes."""

Row = tuple[bytes, int, int, bytes]
"""A key, since when the row holds and when it was written, in microseconds, and its features."""


class Online(msgspec.Struct, frozen=True):
    """What is known of a view that is online: its definition's digest, the types of keys and features, and up to when,
    in microseconds; None where rows were only pushed."""

    definition: str
    keys: dict[str, str]
    features: dict[str, str]
    until: int | None


class Database:
    """The file, with connections for as many threads as ask at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = str(path)
        self._idle: list[sqlite3.Connection] = []
        self._views: dict[tuple[str, str], Online] = {}
        self._owner: tuple[int, int] | None = None
        weakref.finalize(self, _close, self._idle, os.getpid())

    def view(self, name: str) -> Online | None:
        """What is known of a view; None where it was never materialized."""
        connection = self._connection()
        if connection is None:
            return None
        try:
            return _view(connection, name)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self._idle.append(connection)

    def find(
        self, view: str, keys: Iterable[bytes | None]
    ) -> tuple[Online | None, list[tuple[int, bytes, str] | None]]:
        """What is known of a view, and for each key the entity's row: since when it holds, and its features.

        Instead of a row that is not there, and of a key that is None, there is None; no rows are given of a view that
        was never materialized.

        Raises:
            RunError: when the file cannot be read.
        """
        connection = self._connection()
        if connection is None:
            return None, []
        known: Online | None = None
        rows: list[tuple[int, bytes, str] | None] = []
        try:
            for key in keys:
                row = None if key is None else connection.execute(_READ, (key, view)).fetchone()
                if row is not None:
                    if known is None or row[2] != known.definition:
                        known = self._views.get((view, row[2])) or self._known(connection, view)
                    if row[0] is None:
                        row = None
                rows.append(row)
            return known or self._known(connection, view), rows
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self._idle.append(connection)

    def _known(self, connection: sqlite3.Connection, view: str) -> Online | None:
        """What is known of a view. While it is so defined that does not change, but for up to when it is online."""
        found = _view(connection, view)
        if found is not None:
            self._views[view, found.definition] = found
        return found

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """A transaction that no other writer is in.

        Raises:
            RunError: when the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)) as connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = normal")  # losing power may lose the last window, whole
                connection.execute("begin immediate")
                try:
                    for statement in _SCHEMA.split(";"):
                        connection.execute(statement)
                    yield Writer(connection)
                except BaseException:
                    connection.execute("rollback")
                    raise
                connection.execute("commit")
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _connection(self) -> sqlite3.Connection | None:
        """An idle connection to the file as it is now, or a new one: a forked process and a new file need their own.

        None where there is no file yet.
        """
        try:
            owner = (os.stat(self._name).st_ino, os.getpid())
        except FileNotFoundError:
            return None
        if owner != self._owner:
            if self._owner is not None and self._owner[1] != owner[1]:
                _of_parents.extend(self._idle)  # closing them here would free the parent's locks
            else:
                _close(self._idle, owner[1])
            self._idle.clear()
            self._owner = owner
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return sqlite3.connect(self._name, timeout=WAIT, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> RunError:
        return RunError(
            f"the online features in {self.path} cannot be used: {error}",
            fix="see to the file and its folder; removed, it is made again by `turnout features materialize`",
        )


class Writer:
    """A transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def view(self, name: str) -> Online | None:
        """What is known of a view; None where it was never materialized."""
        return _view(self._connection, name)

    def write(self, view: str, rows: Iterable[Row]) -> int:
        """Put rows in the place of older ones; return how many did."""
        before = self._connection.total_changes
        self._connection.executemany(_UPSERT, ((view, *row) for row in rows))
        return self._connection.total_changes - before

    def clear(self, view: str) -> None:
        """Remove all rows of a view."""
        self._connection.execute("delete from entities where view = ?", (view,))

    def note(self, name: str, online: Online) -> None:
        """Write down what is known of a view."""
        keys, features = (msgspec.json.encode(types).decode() for types in (online.keys, online.features))
        self._connection.execute(
            "insert or replace into views values (?, ?, ?, ?, ?)",
            (name, online.definition, keys, features, online.until),
        )


_of_parents: list[sqlite3.Connection] = []
"""Connections that a parent of this process made."""


def _close(connections: Sequence[sqlite3.Connection], pid: int) -> None:
    if pid == os.getpid():
        for connection in connections:
            connection.close()


def _view(connection: sqlite3.Connection, name: str) -> Online | None:
    try:
        row = connection.execute(
            "select definition, keys, features, until from views where name = ?", (name,)
        ).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # another process is about to make it
            return None
        raise
    if row is None:
        return None
    definition, keys, features, until = row
    return Online(definition, msgspec.json.decode(keys), msgspec.json.decode(features), until)
