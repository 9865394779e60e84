"""No feature store: asking for features is an error that says what to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from turnout.base.errors import ConfigError
from turnout.components.base import Config
from turnout.components.feature_store import FeatureStore, FeatureView, Materialized, Progress


class NoFeatureStore(FeatureStore[Config]):
    """Refuses every call."""

    name = "none"

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
        _refuse(f"the features {', '.join(features)} are asked for")

    def online(
        self, entities: Any, features: Sequence[str], *, keys: Mapping[str, str], inputs: Sequence[str] = ()
    ) -> Any:
        _refuse(f"the features {', '.join(features)} are asked for")

    def materialize(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        views: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Materialized, ...]:
        _refuse("features are to be materialized")

    def push(self, view: str, rows: Any) -> int:
        _refuse(f"rows of the feature view {view} are to be pushed")

    def version(self, features: Sequence[str]) -> str:
        _refuse(f"the features {', '.join(features)} are asked for")

    def resolve(self, service: str) -> tuple[str, ...]:
        _refuse(f"the feature service {service} is asked for")

    def describe(self) -> tuple[FeatureView, ...]:
        _refuse("features are asked for")


def _refuse(what: str) -> NoReturn:
    raise ConfigError(
        f"{what}, but the stack has no feature store",
        fix="choose one in the stack file, for example `feature_store: {type: local, folder: features, views: {…}}`",
    )
