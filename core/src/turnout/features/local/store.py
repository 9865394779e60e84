"""Features from Parquet files in a folder, without a service."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from turnout.base import canonical
from turnout.base.errors import ConfigError, PluginError, RunError, did_you_mean
from turnout.components.feature_store import ROW, FeatureStore, FeatureView, Materialized, Progress
from turnout.features import columns
from turnout.features.local import row_bytes
from turnout.features.local.database import UNWRITTEN, Database, Online, Row
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.source import Source
from turnout.features.references import split

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class LocalFeatureStore(FeatureStore[LocalFeatureSettings]):
    """Joins as of a time over Parquet files, by Polars; what is online lies in SQLite.

    A row of a view holds from its timestamp on, until a later row of the same entity, for no longer than the view's
    ttl. Of two rows of the same time the one created later counts; without ``created``, the one further down in the
    file. Times without a zone are UTC.
    """

    name = "local"
    needed_extra = "features"
    Config = LocalFeatureSettings
    versions_data = True

    @cached_property
    def _database(self) -> Database:
        return Database(Path(self.config.online or Path(self.config.folder, "online.sqlite")))

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
        import pyarrow as pa

        from turnout.features.local import join

        _needs("polars", "pyarrow")
        import polars as pl

        frame = pl.from_arrow(entities)
        found = {}
        for name, wanted in _by_view(tuple(features)):
            view = self._view(name)
            source = self._source(name)
            content = source.read(list(dict.fromkeys((*source.own, *wanted))))
            rows = join.numbers(
                frame,
                [keys[key] for key in view.keys],
                timestamp,
                view=content,
                view_keys=view.keys,
                since=view.timestamp,
                created=view.created,
                ttl=view.ttl_seconds,
                known_at=known_at,
            )
            found.update({feature: content[feature].gather(rows).to_arrow() for feature in wanted})
        return pa.table({ROW: entities[ROW], **found})

    def online(
        self, entities: Any, features: Sequence[str], *, keys: Mapping[str, str], inputs: Sequence[str] = ()
    ) -> Any:
        first, *others = _by_view(tuple(features))
        found = self._newest(entities, *first, keys)
        for name, wanted in others:
            rows = self._newest(entities, name, wanted, keys)
            for feature in wanted:
                found = found.append_column(feature, rows[feature])
        return found.append_column(ROW, entities[ROW])

    def _newest(self, entities: Any, name: str, wanted: tuple[str, ...], keys: Mapping[str, str]) -> Any:
        """The rows of a view that are online for *entities*."""
        view = self._view(name)
        own = [row_bytes.plain(entities[keys[key]]) for key in view.keys]
        known, rows = self._database.find(name, _keys(own))
        if known is None:
            raise _never(name)
        if missing := [feature for feature in wanted if feature not in known.features]:
            raise _outdated(name, missing[0])
        shape = self._shapes.get(known.definition)
        if shape is None:
            shape = self._shapes[known.definition] = row_bytes.Shape(known.features)
        ttl = self._ttls[name]
        oldest = UNWRITTEN if ttl is None else time.time_ns() // 1000 - ttl
        found = shape.table([None if row is None or row[0] < oldest else row[1] for row in rows])
        return found if len(wanted) == len(known.features) else found.select(wanted)

    @cached_property
    def _shapes(self) -> dict[str, row_bytes.Shape]:
        """How rows are read, by the definition of their view."""
        return {}

    @cached_property
    def _ttls(self) -> dict[str, int | None]:
        """How long rows of each view hold, in microseconds."""
        spans = {name: view.ttl_seconds for name, view in self.config.views.items()}
        return {name: None if span is None else round(span * 1_000_000) for name, span in spans.items()}

    def materialize(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        views: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Materialized, ...]:
        _needs("polars", "pyarrow")
        done = []
        for name in views or self.config.views:
            tell = progress or _untold
            tell(name, 0.0)
            done.append(self._materialize(name, _utc(until), None if since is None else _utc(since), force))
            tell(name, 1.0)
        return tuple(done)

    def _materialize(self, name: str, until: datetime, since: datetime | None, force: bool) -> Materialized:
        from turnout.features.local import join

        view = self._view(name)
        source = self._source(name)
        definition, schema = self._definition(name), source.schema()
        known = self._database.view(name)
        same = known is not None and known.definition == definition
        last = known.until if known is not None and same else None
        end = _micros(until)
        if last is not None and end <= last and not force:
            note = f"it is online until {_time(last).isoformat()} already"
            return Materialized(view=name, since=since, until=until, rows=0, note=note)
        start = (None if force else last) if since is None else _micros(since)
        content = source.read([*source.own, *source.features(schema)])
        chosen = join.newest(content, view.keys, view.timestamp, view.created, start, end)
        rows = list(self._rows(name, content[chosen["number"].to_list()].to_arrow(), schema, chosen))
        with self._database.writing() as writer:
            now = writer.view(name)
            if now is not None and now.definition != definition:
                writer.clear(name)
            written = writer.write(name, rows)
            kept = now.until if now is not None and now.definition == definition else None
            features = _types(schema, source.features(schema))
            ends = [moment for moment in (kept, end) if moment is not None]
            writer.note(name, Online(definition, _types(schema, view.keys), features, max(ends)))
        return Materialized(view=name, since=None if start is None else _time(start), until=until, rows=written)

    def _rows(self, name: str, content: Any, schema: Mapping[str, str], chosen: Any) -> Iterator[Row]:
        """Rows of a pyarrow table as the database has them."""
        import pyarrow as pa

        view = self._view(name)
        names = self._source(name).features(schema)
        keys = _keys([row_bytes.plain(columns.key(content[key], key, schema[key])) for key in view.keys])
        types = {feature: columns.arrow_type(schema[feature]) for feature in names}
        if unknown := [feature for feature, type_ in types.items() if type_ is None]:
            raise ConfigError(
                f"the feature {unknown[0]!r} of the view {name!r} is {schema[unknown[0]]}, which cannot be online",
                fix="list the other ones in the view's setting `features`",
            )
        try:
            features = content.select(names).cast(pa.schema(list(types.items())))
        except pa.ArrowInvalid as error:
            raise RunError(
                f"the rows for the feature view {name!r} have other types than its file",
                why=str(error),
                fix="convert them",
            ) from None
        times = chosen.select("since", "created").iter_rows()
        for key, body, (since, created) in zip(keys, row_bytes.bodies(features), times, strict=True):
            if key is None:
                raise RunError(f"a row for the feature view {name!r} has a key that is none of its", fix="correct it")
            yield key, since, UNWRITTEN if created is None else created, body

    def push(self, view: str, rows: Any) -> int:
        from turnout.features.local import join

        _needs("polars", "pyarrow")
        import polars as pl

        settings = self._view(view)
        source = self._source(view)
        definition, schema = self._definition(view), source.schema()
        names = [*source.own, *source.features(schema)]
        if missing := [name for name in names if name not in rows.column_names]:
            raise RunError(
                f"the rows for the feature view {view!r} have no column {missing[0]!r}",
                why=f"it has {', '.join(names)}",
                fix="push rows with all columns of the view",
            )
        if nulls := [name for name in (*settings.keys, settings.timestamp) if rows[name].null_count]:
            raise RunError(f"a row for the feature view {view!r} has no {nulls[0]}", fix="leave it out, or complete it")
        rows = rows.select(names)
        for name in filter(None, (settings.timestamp, settings.created)):
            moments = columns.times(rows[name], f"the column {name!r} of the rows")
            rows = rows.set_column(rows.column_names.index(name), name, moments)
        content = pl.from_arrow(rows)
        chosen = join.newest(content, settings.keys, settings.timestamp, settings.created, None, 2**63 - 1)
        written = list(self._rows(view, content[chosen["number"].to_list()].to_arrow(), schema, chosen))
        with self._database.writing() as writer:
            now = writer.view(view)
            if now is not None and now.definition != definition:
                raise _outdated(view)
            count = writer.write(view, written)
            if now is None:
                types = _types(schema, settings.keys), _types(schema, source.features(schema))
                writer.note(view, Online(definition, *types, None))
        return count

    def version(self, features: Sequence[str]) -> str:
        views = _by_view(tuple(features))
        found = {name: [self._view(name), sorted(wanted)] for name, wanted in views}
        data = {name: self._source(name).digest() for name, _ in views}
        return canonical.digest_of({"views": found, "data": data})

    def _definition(self, name: str) -> str:
        """A digest of all that decides which row is online."""
        view = self._view(name)
        source = self._source(name)
        return canonical.digest_of(
            [view.timestamp, view.created, view.source, view.keys, view.features, source.schema()]
        )

    def resolve(self, service: str) -> tuple[str, ...]:
        if service not in self.config.services:
            hint = did_you_mean(service, self.config.services)
            what = f"the feature store has no service {service!r}. {hint}".rstrip(". ")
            raise ConfigError(what, fix=f"its services are {', '.join(self.config.services) or 'none'}")
        return self.config.services[service]

    def describe(self) -> tuple[FeatureView, ...]:
        _needs("pyarrow")
        return tuple(self._described(name, view) for name, view in self.config.views.items())

    def _described(self, name: str, view: ViewSettings) -> FeatureView:
        source, known, problem = self._source(name), self._database.view(name), ""
        try:
            schema = source.schema()
            keys, features = _types(schema, view.keys), _types(schema, source.features(schema))
        except ConfigError as error:
            problem = error.what
            keys, features = ({}, {}) if known is None else (known.keys, known.features)
        return FeatureView(
            name=name,
            keys=keys or dict.fromkeys(view.keys, ""),
            timestamp=view.timestamp,
            features=features,
            created=view.created,
            ttl=view.ttl_seconds,
            known_at=bool(view.created),
            owner=view.owner,
            doc=view.doc,
            materialized_until=None if known is None or known.until is None else _time(known.until),
            problem=problem,
        )

    def _source(self, name: str) -> Source:
        return Source(self.config.folder, name, self._view(name))

    def _view(self, name: str) -> ViewSettings:
        if name not in self.config.views:
            hint = did_you_mean(name, self.config.views)
            what = f"the feature store has no view {name!r}. {hint}".rstrip(". ")
            raise ConfigError(what, fix=f"its views are {', '.join(self.config.views)}")
        return self.config.views[name]


@lru_cache(maxsize=1024)
def _by_view(features: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The views of references, each with its features."""
    wanted: dict[str, list[str]] = {}
    for reference in features:
        view, feature = split(reference)
        wanted.setdefault(view, []).append(feature)
    return tuple((view, tuple(names)) for view, names in wanted.items())


def _types(schema: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: schema[name] for name in names}


def _keys(columns_: Sequence[Sequence[Any]]) -> Iterator[bytes | None]:
    """The keys of rows from the columns they are made of; None where one is null."""
    for row in zip(*columns_, strict=True):
        yield None if None in row else row_bytes.key(row)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _untold(view: str, share: float) -> None:
    """For who does not ask how far it is."""


def _never(name: str) -> RunError:
    return RunError(
        f"the feature view {name!r} was never materialized: nothing of it is online",
        fix=f"run `turnout features materialize --view {name}`, or call Features(…).materialize() in a pipeline",
    )


def _outdated(name: str, feature: str = "") -> RunError:
    return RunError(
        f"the feature {feature!r} of the view {name!r} is not online"
        if feature
        else f"the feature view {name!r} is online as it was, and takes no rows of another form",
        why="the view has changed since it was last materialized",
        fix=f"run `turnout features materialize --view {name}`",
    )


def _needs(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise PluginError(
            f"the feature store 'local' needs {' and '.join(missing)}", fix="pip install 'turnout[features]'"
        )
