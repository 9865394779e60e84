"""The file of an index: SQLite, in the user's cache folder, made anew where it is damaged or of another format."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

FORMAT = 3
"""The format of the tables. A file of another one is removed: all that it holds can be read again."""
PATIENCE = 30.0
"""Seconds to wait for another process that writes to the file."""
FORGOTTEN = 90 * 86_400.0
"""Seconds after which the file of a store that nobody has listed since is removed."""

_SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL, run TEXT NOT NULL, pipeline TEXT NOT NULL, created TEXT NOT NULL,
    state TEXT, mark TEXT, ended TEXT NOT NULL, info BLOB NOT NULL, UNIQUE (project, run));
CREATE INDEX by_age ON runs (project, created DESC, run);
CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (run, key)) WITHOUT ROWID;
CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step TEXT NOT NULL, element INTEGER NOT NULL,
    state TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL, taken_from TEXT, modified REAL, size INTEGER,
    PRIMARY KEY (run, step, element)) WITHOUT ROWID;
CREATE TABLE outputs (
    run INTEGER NOT NULL, step TEXT NOT NULL, element INTEGER NOT NULL, output TEXT NOT NULL, number INTEGER NOT NULL,
    digest TEXT NOT NULL, type TEXT NOT NULL, materializer TEXT NOT NULL, size INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (run, step, element, output, number),
    FOREIGN KEY (run, step, element) REFERENCES steps ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE changes (project TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (project, name)) WITHOUT ROWID;
CREATE TABLE refreshed (project TEXT PRIMARY KEY, time REAL NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the file, or make it; None is a database in memory.

    Raises:
        sqlite3.Error: when it is damaged, of another format, or cannot be opened or made.
    """
    if path is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_others(path.parent)
    connection = sqlite3.connect(
        ":memory:" if path is None else path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let processes read while one writes. SQLite does not wait for another process that makes this change, whatever
    the connection's timeout (https://sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode")."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(0.01)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, unless they are there."""
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"its format is {version}, this turnout's {FORMAT}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is written within; other processes wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def remove(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it; processes that have it open go on with what they see."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _forget_others(folder: Path) -> None:
    """Remove the files of stores that were not listed for long: temporary ones would add up for ever."""
    limit = time.time() - FORGOTTEN
    for other in folder.glob("*.sqlite"):
        with contextlib.suppress(OSError):
            if other.stat().st_mtime < limit:
                remove(other)
