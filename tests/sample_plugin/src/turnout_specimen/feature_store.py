"""The feature store ``specimen``: views as JSON files in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.plugin_api import Config, ConfigError, FeatureStore, FeatureView


class SpecimenSettings(Config, frozen=True):
    """Settings of the feature store ``specimen``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of views, one JSON file each, as workers see it.")]


class SpecimenFeatureStore(FeatureStore[SpecimenSettings]):
    """A view is ``{"entity": …, "timestamp": …, "rows": [{…}]}``, its times ISO 8601 with a zone."""

    name = "specimen"
    Config = SpecimenSettings

    def historical(self, entities: Any, features: Sequence[str], *, entity: str, timestamp: str) -> Any:
        keys, times = _column(entities, entity), [_utc(time) for time in _column(entities, timestamp)]
        return self._joined(entities, features, list(zip(keys, times, strict=True)), "")

    def online(self, entities: Any, features: Sequence[str], *, entity: str) -> Any:
        latest = datetime.max.replace(tzinfo=timezone.utc)
        return self._joined(entities, features, [(key, latest) for key in _column(entities, entity)], "online/")

    def materialize(self, until: datetime) -> None:
        for name in self._names():
            view = self._view(name)
            view["rows"] = [row for row in view["rows"] if _utc(row[view["timestamp"]]) <= until]
            path = Path(self.config.folder, "online", f"{name}.json")
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(view))

    def describe(self) -> tuple[FeatureView, ...]:
        found = []
        for name in self._names():
            view = self._view(name)
            own = {view["entity"], view["timestamp"]}
            features = {k: type(value).__name__ for k, value in view["rows"][0].items() if k not in own}
            described = FeatureView(
                name=name, entities=(view["entity"],), timestamp=view["timestamp"], features=features
            )
            found.append(described)
        return tuple(found)

    def _joined(self, table: Any, features: Sequence[str], wanted: list[tuple[Any, datetime]], side: str) -> Any:
        for feature in features:
            view_name, _, name = feature.partition(":")
            view = self._view(view_name, side)
            if not name or name not in view["rows"][0]:
                raise ConfigError(f"the feature view {view_name!r} has no feature {name!r}", fix="correct the name")
            known: dict[Any, list[tuple[datetime, Any]]] = {}
            for row in sorted(view["rows"], key=lambda row: _utc(row[view["timestamp"]])):
                known.setdefault(row[view["entity"]], []).append((_utc(row[view["timestamp"]]), row[name]))
            table = _with_column(table, name, [_newest(known.get(key, []), time) for key, time in wanted])
        return table

    def _names(self) -> list[str]:
        return sorted(path.stem for path in Path(self.config.folder).glob("*.json"))

    def _view(self, name: str, side: str = "") -> Any:
        if name not in self._names():
            raise ConfigError(f"there is no feature view {name!r}", fix=f"use one of {', '.join(self._names())}")
        return json.loads(Path(self.config.folder, f"{side}{name}.json").read_text())


def _utc(time: Any) -> datetime:
    moment: datetime = datetime.fromisoformat(time) if isinstance(time, str) else time
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _newest(known: list[tuple[datetime, Any]], time: datetime) -> Any:
    place = bisect_right([since for since, _ in known], time)
    return known[place - 1][1] if place else None


def _column(table: Any, name: str) -> list[Any]:
    column = table[name]
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column.to_list())


def _with_column(table: Any, name: str, values: list[Any]) -> Any:
    """The table, of its own kind, with one more column."""
    library = type(table).__module__.partition(".")[0]
    if library == "pandas":
        return table.assign(**{name: values})
    if library == "polars":
        import polars as pl

        return table.with_columns(pl.Series(name, values))
    import pyarrow as pa

    return table.append_column(name, pa.array(values))
