"""The Parquet files of a view: where they lie, which columns they have, their content, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from turnout.base.errors import ConfigError, did_you_mean
from turnout.features.columns import times
from turnout.features.local.settings import ViewSettings

_digests: dict[tuple[str, int, int, int], str] = {}
"""The digests of files by path, inode, size and time of change."""


class Source:
    """The files of one view.

    Args:
        folder: the store's folder.
    """

    def __init__(self, folder: str, name: str, view: ViewSettings) -> None:
        self.name = name
        self.view = view
        self._file = Path(folder, view.source or f"{name}.parquet")
        if not view.source and not self._file.exists() and Path(folder, name).is_dir():
            self._file = Path(folder, name)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, by name; there is at least one.

        Raises:
            ConfigError: when there is none.
        """
        if self._file.is_dir():
            if found := sorted(path for path in self._file.rglob("*.parquet") if path.is_file()):
                return tuple(found)
            raise self._missing(f"has no Parquet file in {self._file}")
        if not self._file.is_file():
            raise self._missing(f"has no file {self._file}")
        return (self._file,)

    def _missing(self, what: str) -> ConfigError:
        return ConfigError(
            f"the feature view {self.name!r} {what}", fix="put it there, or correct `folder` or `source` in the stack"
        )

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that are no features: keys, time, and created."""
        view = self.view
        return (*view.keys, view.timestamp, *((view.created,) if view.created else ()))

    def features(self, schema: Iterable[str]) -> tuple[str, ...]:
        """The columns that are features."""
        return self.view.features or tuple(name for name in schema if name not in self.own)

    def schema(self) -> dict[str, str]:
        """The columns of the first file with Arrow's names of their types.

        Raises:
            ConfigError: when it cannot be read, or lacks a column that the settings name.
        """
        from pyarrow import ArrowException, parquet

        path = self.files[0]
        try:
            schema = parquet.read_schema(path)
        except (OSError, ArrowException) as error:
            raise self.unreadable(path, error) from error
        found = {field.name: _plain(field.type) for field in schema}
        for column in (*self.own, *self.view.features):
            if column not in found:
                what = f"the feature view {self.name!r} has no column {column!r}. {did_you_mean(column, found)}"
                raise ConfigError(what.rstrip(". "), why=f"{path} has {', '.join(found)}", fix="correct the name")
        return found

    def unreadable(self, path: Path, error: Exception) -> ConfigError:
        """A file that is no Parquet file, or not like the others."""
        what = f"the file {path} of the feature view {self.name!r} cannot be read: {str(error).splitlines()[0]}"
        return ConfigError(what, fix="write it anew, as a Parquet file with the columns of the others")

    def read(self, columns: Sequence[str]) -> Any:
        """Columns of all files as a Polars frame, file after file.

        Raises:
            ConfigError: when they cannot be read.
            RunError: when a column of times holds none.
        """
        import polars as pl

        frames = []
        for path in self.files:
            try:
                frames.append(pl.read_parquet(path, columns=list(columns), hive_partitioning=False))
            except (OSError, pl.exceptions.PolarsError) as error:
                raise self.unreadable(path, error) from error
        try:
            frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed", rechunk=False)
        except pl.exceptions.PolarsError as error:
            raise self.unreadable(self._file, error) from error
        for name in (self.view.timestamp, self.view.created):
            if name and not isinstance(frame.schema[name], (pl.Datetime, pl.Date)):
                what = f"the column {name!r} of the feature view {self.name!r}"
                frame = frame.with_columns(pl.Series(name, pl.from_arrow(times(frame[name].to_arrow(), what))))
        return frame

    def digest(self) -> str:
        """A digest of the content of all files.

        Raises:
            ConfigError: when there is none.
        """
        whole = hashlib.sha256()
        for path in self.files:
            whole.update(_digest(path).encode())
        return whole.hexdigest()


def _digest(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        content = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                content.update(block)
        _digests[key] = content.hexdigest()
    return _digests[key]


def _plain(type_: Any) -> str:
    """The name of a type as values come out of a join: without categories, texts of one kind."""
    from pyarrow import types

    if types.is_dictionary(type_):
        return _plain(type_.value_type)
    return "string" if types.is_large_string(type_) or str(type_) == "string_view" else str(type_)
