"""The artifact store ``specimen``: objects in one SQLite file. Replace the file by calls of your tool."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import time
from typing import Annotated, Any

import msgspec

from turnout.plugin_api import ArtifactError, ArtifactStore, Config, Entry, check_key, encode

_TABLE = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB, modified REAL) WITHOUT ROWID"


class SpecimenSettings(Config, frozen=True):
    """Settings of the artifact store ``specimen``."""

    root: Annotated[str, msgspec.Meta(description="The SQLite file; its folders are made.")]


class SpecimenArtifactStore(ArtifactStore[SpecimenSettings]):
    """Create-if-absent is an INSERT that the table's primary key lets one of any number of writers win."""

    name = "specimen"
    Config = SpecimenSettings

    @property
    def address(self) -> str:
        return self.config.root

    def environment(self) -> dict[str, str]:
        root = str(Path(self.config.root).absolute())
        return {"TURNOUT_STORE": encode({"type": self.name, "root": root}).decode()}

    def read(self, key: str) -> bytes | None:
        found = self._ask(key, "SELECT data FROM objects WHERE key = ?", key)
        return bytes(found[0][0]) if found else None

    def create(self, key: str, data: bytes) -> bool:
        return bool(self._ask(key, "INSERT OR IGNORE INTO objects VALUES (?, ?, ?) RETURNING 1", key, data, time()))

    def create_from(self, key: str, path: Path) -> bool:
        check_key(key)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"cannot write {key} to {self.address}: {error}", fix="see that the file is there"
            ) from error
        return self.create(key, data)

    def fetch(self, key: str, path: Path) -> bool:
        data = self.read(key)
        if data is None:
            return False
        try:
            path.write_bytes(data)
        except OSError as error:
            raise ArtifactError(f"cannot copy {key} to {path}: {error}", fix="give another folder") from error
        return True

    def exists(self, key: str) -> bool:
        return bool(self._ask(key, "SELECT 1 FROM objects WHERE key = ?", key))

    def list(self, prefix: str) -> Iterator[Entry]:
        rows = self._below(prefix, "key, length(data), modified")
        return (Entry(key, size, modified) for key, size, modified in rows)

    def children(self, prefix: str) -> Sequence[str]:
        start = len(prefix) + 1 if prefix else 0
        return sorted({key[start:].partition("/")[0] for (key,) in self._below(prefix, "key")})

    def delete(self, key: str) -> None:
        self._ask(key, "DELETE FROM objects WHERE key = ?", key)

    def _below(self, prefix: str, columns: str) -> Sequence[Any]:
        text = f"SELECT {columns} FROM objects WHERE key >= ? AND key < ? ORDER BY key"
        if not prefix:
            return self._ask("all", text, "", "\U0010ffff")
        return self._ask(prefix, text, f"{prefix}/", f"{prefix}0")  # "0" comes after "/"

    def _ask(self, key: str, statement: str, *values: Any) -> Sequence[Any]:
        check_key(key)
        try:
            Path(self.config.root).parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.config.root, timeout=60)) as connection, connection:
                connection.execute("PRAGMA synchronous = OFF")  # a power cut may lose the last objects, a kill none
                connection.execute(_TABLE)
                return connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise ArtifactError(f"{self.address} cannot be used for {key}: {error}", fix="check the file") from error
