"""No feature store: asking for features is an error that says what to add."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from turnout.base.errors import ConfigError
from turnout.components.base import Config
from turnout.components.feature_store import FeatureStore, FeatureView


class NoFeatureStore(FeatureStore[Config]):
    """Refuses every call."""

    name = "none"

    def historical(self, entities: Any, features: Sequence[str], *, entity: str, timestamp: str) -> Any:
        _refuse(f"the features {', '.join(features)} are asked for")

    def online(self, entities: Any, features: Sequence[str], *, entity: str) -> Any:
        _refuse(f"the features {', '.join(features)} are asked for")

    def materialize(self, until: datetime) -> None:
        _refuse("features are to be materialized")

    def describe(self) -> tuple[FeatureView, ...]:
        _refuse("feature views are to be described")


def _refuse(what: str) -> NoReturn:
    raise ConfigError(
        f"{what}, but the stack has no feature store",
        fix="choose one in the stack file, for example `feature_store: {type: local, folder: features, views: {…}}`",
    )
