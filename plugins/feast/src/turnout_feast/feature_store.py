"""The feature store ``feast``: an existing repository of Feast's, asked by turnout's rules."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from turnout.plugin_api import FeatureStore, FeatureView, Materialized, Progress
from turnout_feast.settings import FeastSettings


class FeastFeatureStore(FeatureStore[FeastSettings]):
    """Features of a Feast repository, whose registry, offline and online stores stay as they are.

    Feast runs where it fits: in this process, or in one of its own whose environment uv makes.
    """

    name = "feast"
    Config = FeastSettings

    def __init__(self, config: FeastSettings) -> None:
        super().__init__(config)
        self._lock = threading.Lock()
        self._backend: Any = None

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
        arguments = {"features": list(features), "keys": dict(keys), "timestamp": timestamp, "known_at": known_at}
        return self._feast().call("historical", arguments, entities)

    def online(
        self, entities: Any, features: Sequence[str], *, keys: Mapping[str, str], inputs: Sequence[str] = ()
    ) -> Any:
        return self._feast().call("online", {"features": list(features), "keys": dict(keys)}, entities)

    def materialize(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        views: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Materialized, ...]:
        arguments = {
            "until": until.isoformat(),
            "since": None if since is None else since.isoformat(),
            "views": list(views),
            "force": force,
        }
        found = self._feast().call("materialize", arguments, progress=progress)
        return msgspec.convert(found, tuple[Materialized, ...])

    def push(self, view: str, rows: Any) -> int:
        return int(self._feast().call("push", {"view": view}, rows))

    def version(self, features: Sequence[str]) -> str:
        return str(self._feast().call("version", {"features": list(features)}))

    def tags(self, features: Sequence[str], services: Sequence[str]) -> Mapping[str, str]:
        found: dict[str, str] = self._feast().call("tags", {"features": list(features), "services": list(services)})
        return found

    def resolve(self, service: str) -> tuple[str, ...]:
        return tuple(self._feast().call("resolve", {"service": service}))

    def describe(self) -> tuple[FeatureView, ...]:
        backend = self._feast()
        views = msgspec.convert(backend.call("describe", {}), tuple[FeatureView, ...])
        return tuple(msgspec.structs.replace(view, notes=(*view.notes, f"{backend.place}.")) for view in views)

    @property
    def place(self) -> str:
        """Where Feast runs, in words for a user."""
        return str(self._feast().place)

    def _feast(self) -> Any:
        with self._lock:
            if not getattr(self._backend, "alive", self._backend is not None):
                from turnout_feast.environment import backend

                self._backend = backend(self.config, self.package_index or dict)
            return self._backend
