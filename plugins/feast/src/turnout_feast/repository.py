"""A feature repository as Feast has it: its views by name, its services, and the digest of what they are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from turnout.plugin_api import ConfigError, UnsupportedError, did_you_mean, digest_of
from turnout_feast.failures import told
from turnout_feast.settings import FeastSettings

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""An interval from here to here marks a view that has been pushed to, and never materialized."""
DUMMY = "__dummy_id"
"""The entity that Feast gives to a view without one."""
LOOK = 60.0
"""Seconds after which definitions are read again; sooner where a registry's file has changed."""


OFFLINE_ONLY = "its definition says online=False"
DISABLED = "its definition says enabled=False"


class View:
    """A feature view of Feast's, on demand or not, with what every retrieval needs to know of it."""

    def __init__(self, feast_view: Any) -> None:
        self.feast = feast_view
        self.name: str = feast_view.name
        self.on_demand = hasattr(feast_view, "source_request_sources")
        self.features = {field.name: _arrow_type(field) for field in feast_view.features}
        self.value_types = {field.name: field.dtype.to_value_type() for field in feast_view.features}
        source = None if self.on_demand else feast_view.batch_source
        self.timestamp = source.timestamp_field if source is not None else ""
        self.created = source.created_timestamp_column if source is not None else ""
        self.keys = {column.name: _arrow_type(column) for column in feast_view.entity_columns if column.name != DUMMY}
        columns = {column.name: column for column in feast_view.entity_columns}
        self._key_types = [columns[name].dtype.to_value_type() for name in self.keys]
        self.ttl: timedelta | None = getattr(feast_view, "ttl", None) or None
        self.online = bool(getattr(feast_view, "online", True))
        self.enabled = bool(getattr(feast_view, "enabled", True))
        intervals = getattr(feast_view, "materialization_intervals", ())
        self.materialized = bool(intervals)
        ends = [aware(end) for _, end in intervals]
        self.until = max((end for end in ends if end > EPOCH), default=None)
        self._rows: dict[tuple[str, ...], Any] = {}

    def row(self, names: Sequence[str]) -> Any:
        """The Arrow type of a row of some features."""
        import pyarrow as pa

        key = tuple(names)
        if key not in self._rows:
            self._rows[key] = pa.struct([(name, self.features[name]) for name in key])
        return self._rows[key]

    def entity_keys(self, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Keys, each as the values of the view's key columns in their order, as an online store takes them."""
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value
        from feast.type_map import python_values_to_proto_values

        if not self.keys:
            return [EntityKey(join_keys=[DUMMY], entity_values=[Value(string_val="")])] * len(keys)
        values = [
            python_values_to_proto_values(list(column), kind)
            for column, kind in zip(zip(*keys, strict=True), self._key_types, strict=True)
        ]
        return [EntityKey(join_keys=self.keys, entity_values=row) for row in zip(*values, strict=True)]

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The features of other views that an on-demand one is computed from, by the views' names."""
        if not self.on_demand:
            return {}
        projections = self.feast.source_feature_view_projections.values()
        return {one.name: tuple(field.name for field in one.features) for one in projections}

    @property
    def inputs(self) -> dict[str, Any]:
        """What a request must bring for an on-demand view, with Arrow's types."""
        if not self.on_demand:
            return {}
        fields = [field for source in self.feast.source_request_sources.values() for field in source.schema]
        return {field.name: _arrow_type(field) for field in fields}


class Repository:
    """Reads a repository's definitions, and keeps them until they change. For one thread at a time.

    Raises:
        ConfigError: where there is no repository, or Feast cannot read its settings.
    """

    def __init__(self, settings: FeastSettings) -> None:
        self.settings = settings
        if not settings.file.is_file():
            raise ConfigError(
                f"there is no Feast repository at {settings.folder}",
                why=f"it has no {settings.file.name}",
                fix="correct `repo` in the stack: the folder of feature_store.yaml, as workers see it",
            )
        self.registry_file: Path | None = None
        self._seen: object = None
        self._locked = False
        self._read_at = 0.0
        self._views: dict[str, View] = {}
        with told(f"reading {settings.file}", ConfigError, "correct the file as Feast's documentation has it"):
            self.store = self._open()
        self._reload()

    def _open(self) -> Any:
        from feast import FeatureStore
        from feast.repo_config import load_repo_config

        config = load_repo_config(self.settings.folder, self.settings.file)
        path = str(config.registry.path)
        if config.registry.registry_type == "file" and "://" not in path:
            self.registry_file = self.settings.folder / path
            if not self.registry_file.is_file():  # Feast would make an empty one
                raise ConfigError(
                    f"the Feast registry {self.registry_file} is not there",
                    fix=f"run `feast apply` in {self.settings.folder}, or correct `registry` in {self.settings.file}",
                )
        if getattr(config.online_store, "skip_dedup", None) is False:
            config.online_store.skip_dedup = True  # Redis would drop a correction of the same time
        if config.materialization_config.online_write_batch_size is None:
            config.materialization_config.online_write_batch_size = 5_000
        store = FeatureStore(repo_path=str(self.settings.folder), config=config)
        registry = store.registry
        registry.serve_features_while_materializing = True  # whoever materializes interrupts no one who reads
        if self.registry_file is not None:
            # Feast reads a file anew whenever it changes, and may find it half written: it is read below, under a lock
            registry.cache_mode = "turnout"
            registry.cached_registry_proto_ttl = timedelta(0)
            file = registry._registry_store  # noqa: SLF001 - what Feast asks of it past its cache is read so, too
            self._read, file.get_registry_proto = file.get_registry_proto, self._read_locked
        return store

    @property
    def offline(self) -> str:
        """The type of the offline store, in Feast's words."""
        return str(self.store.config.offline_store.type)

    @property
    def online(self) -> str:
        """The type of the online store, in Feast's words."""
        store = self.store.config.online_store
        return "none" if store is None else str(store.type)

    def views(self, *, anew: bool = False) -> dict[str, View]:
        """The views by name.

        Args:
            anew: whether to read them again, whatever is cached.
        """
        if anew or self._state() != self._seen or time.monotonic() - self._read_at > LOOK:
            self._reload()
        return self._views

    def view(self, name: str) -> View:
        """A view by its name.

        Raises:
            ConfigError: where there is none.
        """
        found = self.views().get(name) or self.views(anew=True).get(name)
        if found is None:
            hint = did_you_mean(name, self._views)
            raise ConfigError(
                f"the Feast project {self.store.project!r} has no feature view {name!r}. {hint}".rstrip(". "),
                fix=f"its views are {', '.join(self._views) or 'none'}; a new one needs `feast apply`",
            )
        return found

    def by_view(self, references: Sequence[str]) -> dict[str, list[str]]:
        """References ``view:feature`` as names of features by their views.

        Raises:
            ConfigError: for what is no reference, or a feature that its view does not have.
        """
        found: dict[str, list[str]] = {}
        views = self.views()
        for reference in references:
            name, colon, feature = reference.partition(":")
            if not colon or not feature or ":" in feature:
                raise ConfigError(f"{reference!r} does not name a feature", fix="write it as 'view:feature'")
            view = views.get(name) or self.view(name)
            if feature not in view.features:
                view = self.views(anew=True)[name]
            if feature not in view.features:
                hint = did_you_mean(feature, view.features)
                raise ConfigError(
                    f"the feature view {name!r} has no feature {feature!r}. {hint}".rstrip(". "),
                    fix=f"it has {', '.join(view.features)}",
                )
            found.setdefault(name, []).append(feature)
        return found

    def service(self, name: str) -> tuple[str, ...]:
        """The references that a feature service stands for.

        Raises:
            ConfigError: where there is none of that name.
            UnsupportedError: where it renames views or keys.
        """
        self.views(anew=True)
        services = {one.name: one for one in self.store.list_feature_services()}
        if name not in services:
            raise ConfigError(
                f"the Feast project {self.store.project!r} has no feature service {name!r}. "
                f"{did_you_mean(name, services)}".rstrip(". "),
                fix=f"its services are {', '.join(services) or 'none'}",
            )
        projections = services[name].feature_view_projections
        for one in projections:
            if one.name_alias or one.join_key_map:
                raise UnsupportedError(
                    f"the feature service {name!r} gives the view {one.name!r} another name or other keys",
                    fix="name its features as view:feature, and the columns by keys={…}",
                )
        return tuple(f"{one.name}:{field.name}" for one in projections for field in one.features)

    def services_of(self, references: Sequence[str]) -> list[str]:
        """The names of the services that stand for exactly these references."""
        wanted, found = set(references), []
        for one in self.store.list_feature_services():
            features = {f"{p.name_to_use()}:{field.name}" for p in one.feature_view_projections for field in p.features}
            if features == wanted:
                found.append(str(one.name))
        return found

    def version(self, references: Sequence[str]) -> str:
        """A digest of the definitions that features follow from, code of on-demand views among them."""
        import feast

        self.views(anew=True)
        names = set(self.by_view(references))
        names |= {source for name in names for source in self._views[name].sources}
        specs = [_definition(self._views[name].feast.to_proto().spec) for name in sorted(names)]
        return digest_of([feast.__version__, self.offline, specs, sorted(references)])

    def relative_sources(self) -> bool:
        """Whether data is named by paths that start where a process runs, which then must be the repository."""
        sources = (view.feast.batch_source for view in self._views.values() if not view.on_demand)
        paths = (str(getattr(source, "path", "") or "") for source in sources)
        return any(path and "://" not in path and not Path(path).is_absolute() for path in paths)

    def online_rows(self, view: View, keys: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Any:
        """What the online store has for keys that differ: for each its time and its values, or None and None.

        Args:
            keys: each as the values of the view's key columns, in their order.
        """
        store = self.store.provider.online_store
        return store.online_read(self.store.config, view.feast, view.entity_keys(keys), list(names))

    @contextlib.contextmanager
    def changing(self) -> Iterator[Any]:
        """The registry, read anew, for a change that no other process of turnout's on this machine makes meanwhile."""
        with self._lock(fcntl.LOCK_EX):
            self.store.refresh_registry()
            yield self.store.registry
        self._reload()

    @contextlib.contextmanager
    def turn(self, view: str, doing: str) -> Iterator[None]:
        """The time in which no other process of turnout's on this machine is *doing* the same with a view.

        Whoever is killed leaves its turn to the next: the system lets go of its lock.
        """
        with self._locked_file(self._lock_file(f"{quote(view, safe='')}.{doing}"), fcntl.LOCK_EX):
            yield

    def _reload(self) -> None:
        with told(
            "reading the Feast registry", ConfigError, "see that it can be reached, and that `feast apply` was run"
        ):
            for last in (False,) * 200 + (True,):
                state, views = self._state(), {}
                try:
                    with self._lock(fcntl.LOCK_SH):
                        self.store.refresh_registry()
                    found = [*self.store.list_all_feature_views(), *self.store.list_stream_feature_views()]
                    views = {view.name: View(view) for view in found if hasattr(view, "entity_columns")}
                except Exception:
                    if last or self._is_whole(state):
                        raise
                if views or last or self._is_whole(state):
                    break
                time.sleep(0.05)
            self._views, self._seen, self._read_at = views, state, time.monotonic()

    def _is_whole(self, before: object) -> bool:
        """Whether nobody was writing the registry since then: Feast empties its file, and fills it again."""
        return self.registry_file is None or (self._state() == before and bool(self.registry_file.stat().st_size))

    def _state(self) -> object:
        if self.registry_file is None:
            return None
        try:
            status = self.registry_file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read_locked(self) -> Any:
        with self._lock(fcntl.LOCK_SH):
            return self._read()

    @contextlib.contextmanager
    def _lock(self, mode: int) -> Iterator[None]:
        """Keep turnout's processes on this machine from reading a registry's file while it is written.

        What it surrounds may ask for it again.
        """
        if self._locked:
            yield
            return
        try:
            self._locked = True
            with self._locked_file(self._lock_file(), mode):
                yield
        finally:
            self._locked = False

    def _lock_file(self, what: str = "") -> Path:
        name = f"{what}.lock" if what else "lock"
        if self.registry_file is not None:
            return self.registry_file.with_name(f".{self.registry_file.name}.{name}")
        registry = digest_of([str(self.store.config.registry.path), self.store.project])[:24]
        return Path(tempfile.gettempdir(), f"turnout-feast-{os.geteuid()}-{registry}.{name}")

    @contextlib.contextmanager
    def _locked_file(self, path: Path, mode: int) -> Iterator[None]:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            if mode == fcntl.LOCK_EX:
                raise
            yield  # where a registry cannot be written, nobody writes it meanwhile
            return
        try:
            fcntl.flock(descriptor, mode)
            yield
        finally:
            os.close(descriptor)


def aware(time: datetime) -> datetime:
    """A time in UTC; one without a zone is taken for UTC, as Feast does."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _arrow_type(field: Any) -> Any:
    from feast.types import from_feast_to_pyarrow_type

    return from_feast_to_pyarrow_type(field.dtype)


def _definition(spec: Any) -> Any:
    """A definition without what changes while it stays the same."""
    from google.protobuf.json_format import MessageToDict

    return _lasting(MessageToDict(spec))


def _lasting(value: Any) -> Any:
    """A document without times of changes, and without pickled code where its text stands beside it."""
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    if not isinstance(value, dict):
        return value
    left_out = {"meta"} | ({"body"} if value.get("bodyText") else set())
    return {name: _lasting(one) for name, one in sorted(value.items()) if name not in left_out}
