"""Features from Parquet files in a folder: one file a view, no service."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec

from turnout.base.errors import ConfigError, PluginError, did_you_mean
from turnout.components.base import Config
from turnout.components.feature_store import FeatureStore, FeatureView


class ViewSettings(Config, frozen=True):
    """One feature view."""

    entities: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, description="The columns that name the entity.")]
    timestamp: Annotated[str, msgspec.Meta(description="The column that says since when a row holds.")]
    file: Annotated[
        str, msgspec.Meta(description="The file in the folder; by default the view's name with .parquet.")
    ] = ""


class LocalFeatureSettings(Config, frozen=True):
    """Settings of the feature store ``local``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of Parquet files, as workers see it.")]
    views: Annotated[dict[str, ViewSettings], msgspec.Meta(description="The feature views by their names.")]

    def __post_init__(self) -> None:
        for name, view in self.views.items():
            path = PurePosixPath(view.file or name)
            if path.is_absolute() or ".." in path.parts or ":" in name or not name:
                raise ValueError(f"the view {name!r} does not name a file in the folder")


class LocalFeatureStore(FeatureStore[LocalFeatureSettings]):
    """A point-in-time join over files.

    A row of a view holds from its timestamp on, until a later row of the same entity; of two rows of the same time the
    one further down in the file counts. Times without a zone are UTC. ``online`` reads what ``materialize`` wrote.
    """

    name = "local"
    needed_extra = "features"
    Config = LocalFeatureSettings

    def historical(self, entities: Any, features: Sequence[str], *, entity: str, timestamp: str) -> Any:
        return self._joined(entities, features, entity, timestamp)

    def online(self, entities: Any, features: Sequence[str], *, entity: str) -> Any:
        return self._joined(entities, features, entity, None)

    def _joined(self, entities: Any, features: Sequence[str], entity: str, timestamp: str | None) -> Any:
        from turnout.builtin import feature_tables as tables

        _needs("pandas", "pyarrow")
        wanted = self._by_view(features)
        columns = {}
        for name, names in wanted.items():
            view = self.config.views[name]
            keys = _keys(view, name, entity)
            content = self._read(name, online=timestamp is None, columns=[*view.entities, view.timestamp, *names])
            rows = tables.newest_rows(
                entities, keys, timestamp, view=content, view_keys=view.entities, since=view.timestamp, name=name
            )
            columns.update({feature: content[feature].combine_chunks().take(rows) for feature in names})
        return tables.with_columns(entities, {n: columns[n] for n in (text.split(":")[1] for text in features)})

    def _by_view(self, features: Sequence[str]) -> dict[str, list[str]]:
        wanted: dict[str, list[str]] = {}
        seen: dict[str, str] = {}
        for text in features:
            view, colon, feature = text.partition(":")
            if not colon or not view or not feature or ":" in feature:
                raise ConfigError(f"{text!r} does not name a feature", fix="write it as 'view:feature'")
            if view not in self.config.views:
                hint = did_you_mean(view, self.config.views)
                what = f"the feature store has no view {view!r}. {hint}".rstrip(". ")
                raise ConfigError(what, fix=f"its views are {', '.join(self.config.views)}")
            if feature in seen:
                what = f"{seen[feature]!r} and {text!r} would become columns of one name"
                raise ConfigError(what, fix="look them up one after the other and rename the first")
            seen[feature] = text
            wanted.setdefault(view, []).append(feature)
        return wanted

    def _file(self, name: str, *, online: bool) -> Path:
        if online:
            return Path(self.config.folder, "online", f"{name}.parquet")
        return Path(self.config.folder, self.config.views[name].file or f"{name}.parquet")

    def _read(self, name: str, *, online: bool, columns: list[str] | None = None) -> Any:
        from pyarrow import ArrowException, parquet

        path = self._file(name, online=online)
        try:
            schema = parquet.read_schema(path)
            for column in columns or ():
                if column not in schema.names:
                    hint = did_you_mean(column, schema.names)
                    what = f"the feature view {name!r} has no column {column!r}. {hint}".rstrip(". ")
                    raise ConfigError(what, why=f"{path} has {', '.join(schema.names)}", fix="correct the name")
            return parquet.ParquetFile(path).read(columns=columns)
        except FileNotFoundError:
            fix = "run `turnout features materialize`" if online else "put it there, or correct `folder` in the stack"
            raise ConfigError(f"the feature view {name!r} has no file {path}", fix=fix) from None
        except (OSError, ArrowException) as error:
            what = f"the file {path} of the feature view {name!r} cannot be read: {error}"
            raise ConfigError(what, fix="write it anew, as a Parquet file") from error

    def materialize(self, until: datetime) -> None:
        from pyarrow import parquet

        from turnout.builtin import feature_tables as tables

        _needs("pandas", "pyarrow")
        limit = until if until.tzinfo else until.replace(tzinfo=timezone.utc)
        for name, view in self.config.views.items():
            content = self._read(name, online=False)
            newest = content.take(tables.newest_of_each(content, view.entities, view.timestamp, limit, name))
            path = self._file(name, online=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}.", suffix=".tmp")
            os.close(descriptor)
            try:
                parquet.write_table(newest, temporary)
                Path(temporary).replace(path)
            finally:
                Path(temporary).unlink(missing_ok=True)

    def describe(self) -> tuple[FeatureView, ...]:
        from pyarrow import parquet

        _needs("pyarrow")
        found = []
        for name, view in self.config.views.items():
            path = self._file(name, online=False)
            schema = parquet.read_schema(path) if path.is_file() else self._read(name, online=False).schema
            own = {*view.entities, view.timestamp}
            features = {field.name: str(field.type) for field in schema if field.name not in own}
            found.append(FeatureView(name=name, entities=view.entities, timestamp=view.timestamp, features=features))
        return tuple(found)


def _keys(view: ViewSettings, name: str, entity: str) -> tuple[str, ...]:
    """The columns of the user's table that hold the view's entity."""
    if len(view.entities) == 1:
        return (entity,)
    if entity not in view.entities:
        raise ConfigError(
            f"the feature view {name!r} has the entity {', '.join(view.entities)}, of which {entity!r} is no part",
            fix=f"give entity={view.entities[0]!r}; the table must have all of these columns",
        )
    return view.entities


def _needs(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise PluginError(
            f"the feature store 'local' needs {' and '.join(missing)}", fix="pip install 'turnout[features]'"
        )
