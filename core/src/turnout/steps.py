"""The steps that turnout brings itself. Their code changes with turnout only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def elements(items: Sequence[Any]) -> list[Any]:
    """Give the elements of a parameter or a literal as a list output, to be mapped over."""
    return list(items)


def historical(
    entities: Any,
    features: Sequence[str] = (),
    entity: str = "",
    timestamp: str | None = None,
    *,
    service: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    known_at: bool = False,
) -> Any:
    """Join features to *entities*, each as it was known at the row's time.

    Args:
        entities: a table with the columns that hold keys, time and inputs.
        features: references ``view:feature``.
        entity: the column for the only key of each view.
        timestamp: the column with the time; None for the name that the first feature's view gives its own.
        service: the name of a list of features, in the stead of *features*.
        keys: the column for each key of the views.
        inputs: columns that features are computed from.
        known_at: whether only rows count that were written by then.
    """
    from turnout.base.context import feature_store, log_params
    from turnout.features import retrieval

    store = feature_store()
    references = store.resolve(service) if service else features
    joined, facts = retrieval.joined(
        store,
        entities,
        references,
        timestamp=timestamp,
        entity=entity,
        keys=keys,
        inputs=inputs,
        known_at=known_at,
    )
    log_params(facts)
    return joined


def online(
    entities: Any,
    features: Sequence[str] = (),
    entity: str = "",
    *,
    service: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    **_limits: Any,
) -> Any:
    """Look up the newest values of features for the rows of *entities*; limits are for :mod:`turnout.serving`."""
    from turnout.base.context import feature_store
    from turnout.features import retrieval

    store = feature_store()
    references = store.resolve(service) if service else features
    return retrieval.online(store, entities, references, entity=entity, keys=keys, inputs=inputs)


def materialize(
    until: datetime,
    features: Sequence[str] = (),
    *,
    service: str = "",
    since: datetime | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Bring the views of features online up to a time.

    Args:
        until: the end of the window, which is part of it.
        features: references ``view:feature``.
        service: the name of a list of features, in the stead of *features*.
        since: the start of the window; by default where the last one ended.
        force: whether a window that ends before what is online is read again.

    Returns:
        ``done``, and in ``views`` by their names what was done.
    """
    from turnout.base.context import feature_store
    from turnout.features import materializing

    store = feature_store()
    references = store.resolve(service) if service else features
    return materializing.materialize(store, materializing.views_of(references), until, since=since, force=force)
