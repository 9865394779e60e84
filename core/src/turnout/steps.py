"""The steps that turnout brings itself. Their code changes with turnout only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def elements(items: Sequence[Any]) -> list[Any]:
    """Give the elements of a parameter or a literal as a list output, to be mapped over."""
    return list(items)


def historical(entities: Any, features: list[str], entity: str, timestamp: str | None) -> Any:
    """Join features to *entities*, each as it was known at the row's time.

    Args:
        entities: a table with the columns *entity* and *timestamp*.
        features: references ``view:feature``.
        timestamp: the column with the time; None for the name that the first feature's view gives its own.
    """
    from turnout.base.context import feature_store

    store = feature_store()
    column = timestamp or _time_column(store, features[0])
    return store.historical(entities, features, entity=entity, timestamp=column)


def online(entities: Any, features: list[str], entity: str) -> Any:
    """Look up the newest values of features for the rows of *entities*."""
    from turnout.base.context import feature_store

    return feature_store().online(entities, features, entity=entity)


def _time_column(store: Any, feature: str) -> str:
    from turnout.base.errors import ConfigError, did_you_mean

    name = feature.partition(":")[0]
    views = {view.name: view.timestamp for view in store.describe()}
    if name not in views:
        raise ConfigError(
            f"the feature store has no view {name!r}. {did_you_mean(name, views)}".rstrip(),
            fix=f"its views are: {', '.join(views) or 'none'}",
        )
    return str(views[name])
