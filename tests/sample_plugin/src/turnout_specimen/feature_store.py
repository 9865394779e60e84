"""The feature store ``specimen``: views as JSON files in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.plugin_api import ROW, Config, ConfigError, FeatureStore, FeatureView, Materialized, Progress, RunError

_MIN = datetime.min.replace(tzinfo=timezone.utc)
_TYPES = {str: "string", int: "int64", float: "double"}


class SpecimenSettings(Config, frozen=True):
    """Settings of the feature store ``specimen``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of views, one JSON file each, as workers see it.")]


class SpecimenFeatureStore(FeatureStore[SpecimenSettings]):
    """A view is ``{"keys": […], "timestamp": …, "created": …, "ttl": …, "rows": [{…}]}``, its times ISO 8601."""

    name = "specimen"
    Config = SpecimenSettings
    versions_data = True

    def historical(
        self,
        entities: Any,
        features: Sequence[str],
        *,
        keys: Mapping[str, str],
        timestamp: str,
        inputs: Sequence[str] = (),
        known_at: bool = False,
    ) -> Any:
        found = {}
        for reference in features:
            view, name = self._view(reference.partition(":")[0]), reference.partition(":")[2]
            rows = [
                _newest(view, key, time, time if known_at else None)
                for key, time in zip(_keys(view, entities, keys), entities[timestamp].to_pylist(), strict=True)
            ]
            found[name] = [None if row is None else row[name] for row in rows]
        return _answer(entities, found)

    def online(
        self, entities: Any, features: Sequence[str], *, keys: Mapping[str, str], inputs: Sequence[str] = ()
    ) -> Any:
        now, found = datetime.now(timezone.utc), {}
        for reference in features:
            name, _, feature = reference.partition(":")
            if not self._online(name).is_file():
                raise RunError(f"the feature view {name!r} was never materialized", fix="materialize it")
            view = json.loads(self._online(name).read_text())
            rows = [_newest(view, key, now, None) for key in _keys(view, entities, keys)]
            found[feature] = [None if row is None else row[feature] for row in rows]
        return _answer(entities, found)

    def materialize(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        views: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Materialized, ...]:
        done = []
        for name in views or self._names():
            view, last = self._view(name), self._until(name)
            rows, note = 0, ""
            if last is not None and until <= last and not force:
                note = f"it is online until {last.isoformat()} already"
            else:
                start = since or last or _MIN
                window = [row for row in view["rows"] if start < _utc(row[view["timestamp"]]) <= until]
                rows = self._write(name, window, max(until, last or until))
            done.append(Materialized(view=name, since=since or last, until=until, rows=rows, note=note))
            if progress is not None:
                progress(name, 1.0)
        return tuple(done)

    def push(self, view: str, rows: Any) -> int:
        texts = [
            {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows.to_pylist()
        ]
        return self._write(view, texts, self._until(view))

    def _write(self, name: str, rows: list[dict[str, Any]], until: datetime | None) -> int:
        """Add rows to those that are online. A real store has its tool's transaction here."""
        view, path = self._view(name), self._online(name)
        known = json.loads(path.read_text())["rows"] if path.is_file() else []
        view |= {"rows": [*known, *rows], "until": None if until is None else until.isoformat()}
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(view))
        partial.replace(path)
        return len({tuple(row[key] for key in view["keys"]) for row in rows})

    def version(self, features: Sequence[str]) -> str:
        whole = hashlib.sha256()
        for name in sorted({reference.partition(":")[0] for reference in features}):
            whole.update(Path(self.config.folder, f"{name}.json").read_bytes())
        return whole.hexdigest()

    def resolve(self, service: str) -> tuple[str, ...]:
        raise ConfigError(f"there is no feature service {service!r}", fix="name the features one by one")

    def describe(self) -> tuple[FeatureView, ...]:
        found = []
        for name in self._names():
            view = self._view(name)
            types: dict[str, str] = {}
            for row in view["rows"]:
                types = {k: _TYPES[type(value)] for k, value in row.items() if value is not None} | types
            own = {*view["keys"], view["timestamp"], view["created"]}
            one = FeatureView(
                name=name,
                keys={key: types[key] for key in view["keys"]},
                timestamp=view["timestamp"],
                features={feature: type_ for feature, type_ in types.items() if feature not in own},
                created=view["created"],
                ttl=view["ttl"],
                known_at=bool(view["created"]),
                materialized_until=self._until(name),
            )
            found.append(one)
        return tuple(found)

    def _names(self) -> list[str]:
        return sorted(path.stem for path in Path(self.config.folder).glob("*.json"))

    def _view(self, name: str) -> dict[str, Any]:
        view: dict[str, Any] = json.loads(Path(self.config.folder, f"{name}.json").read_text())
        return view

    def _online(self, name: str) -> Path:
        return Path(self.config.folder, "online", f"{name}.json")

    def _until(self, name: str) -> datetime | None:
        text = json.loads(self._online(name).read_text())["until"] if self._online(name).is_file() else None
        return None if text is None else _utc(text)


def _utc(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(timezone.utc)


def _newest(view: dict[str, Any], key: tuple[Any, ...], time: datetime, known: datetime | None) -> Any:
    """The row of an entity that holds at a time, or None."""
    rows = []
    for place, row in enumerate(view["rows"]):
        since = _utc(row[view["timestamp"]])
        created = _utc(row[view["created"]]) if view["created"] else _MIN
        if tuple(row[name] for name in view["keys"]) == key and since <= time and (known is None or created <= known):
            rows.append((since, created, place, row))
    if not rows:
        return None
    since, _, _, row = max(rows, key=lambda one: one[:3])
    return None if view["ttl"] is not None and time - since > timedelta(seconds=view["ttl"]) else row


def _keys(view: dict[str, Any], entities: Any, keys: Mapping[str, str]) -> list[tuple[Any, ...]]:
    return list(zip(*(entities[keys[key]].to_pylist() for key in view["keys"]), strict=True))


def _answer(entities: Any, features: dict[str, list[Any]]) -> Any:
    import pyarrow as pa

    return pa.table({ROW: entities[ROW], **{name: pa.array(values) for name, values in features.items()}})
