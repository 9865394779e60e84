"""Retrieving features: a table prepared for any store, and what comes back held to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from turnout.base.errors import ConfigError, PluginError, RunError
from turnout.components.feature_store import ROW, FeatureStore
from turnout.features import columns, tables
from turnout.features.references import Request, request

_requests: WeakKeyDictionary[FeatureStore[Any], dict[Any, Request]] = WeakKeyDictionary()
"""What was looked up of a store's views, for requests that come again and again."""


def historical(
    store: FeatureStore[Any],
    entities: Any,
    features: Sequence[str],
    *,
    timestamp: str | None = None,
    entity: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    known_at: bool = False,
) -> Any:
    """Join features to a table, each as it was known at the row's time.

    Args:
        entities: a pandas, Polars or pyarrow table.
        features: references ``view:feature``.
        timestamp: the column with the time; by default the name that the first feature's view gives its own.
        entity: the table's column for the only key of each view.
        keys: the table's column for each key of the views; a key left out has a column of its own name.
        inputs: columns that features are computed from.
        known_at: whether only rows count that were written at or before that time.

    Returns:
        A table of the kind given, with its rows in their order, and the features appended as columns.

    Raises:
        ConfigError: for features, keys or inputs that the store has not.
        RunError: for a table that lacks a column or has one of a feature's name, or a store that fails.
        PluginError: for a store that drops, doubles or makes up rows.
    """
    return joined(
        store, entities, features, timestamp=timestamp, entity=entity, keys=keys, inputs=inputs, known_at=known_at
    )[0]


def joined(
    store: FeatureStore[Any],
    entities: Any,
    features: Sequence[str],
    *,
    timestamp: str | None = None,
    entity: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    known_at: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """What :func:`historical` gives, and facts for the record: features, rows, the window of their times."""
    asked = request(store.describe(), features, entity=entity, keys=keys, inputs=inputs)
    if known_at:
        check_known_at(asked)
    column = timestamp or asked.views[0].timestamp
    moments = columns.times(tables.column(entities, column), f"the column {column!r} of the table")
    prepared, rows = _prepared(entities, asked, {column: moments}), None
    if moments.null_count:
        rows = prepared[ROW]
        prepared = prepared.filter(prepared[column].is_valid())
    found = store.historical(
        prepared, asked.features, keys=asked.keys, timestamp=column, inputs=asked.inputs, known_at=known_at
    )
    result = tables.with_columns(entities, _checked(store, found, asked, prepared[ROW], rows))
    return result, {"features": list(asked.features), "feature_rows": len(moments), **_window(moments)}


def _window(moments: Any) -> dict[str, str]:
    """The first and the last of some times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.min_max(moments.cast(pa.timestamp("us", "UTC"), safe=False)).as_py()
    names = {"features_from": ends["min"], "features_until": ends["max"]}
    return {name: moment.isoformat() for name, moment in names.items() if moment is not None}


def online(
    store: FeatureStore[Any],
    entities: Any,
    features: Sequence[str],
    *,
    entity: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
) -> Any:
    """Look up the newest values that are online, shaped as :func:`historical` does; from several threads at once."""
    return found_online(store, entities, asked_online(store, features, entity=entity, keys=keys, inputs=inputs))


def asked_online(
    store: FeatureStore[Any],
    features: Sequence[str],
    *,
    entity: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
) -> Request:
    """What :func:`online` asks for; the store's views are looked at once.

    Raises:
        ConfigError: for features, keys or inputs that the store has not.
    """
    known = _requests.setdefault(store, {})
    question = (tuple(features), entity, tuple(sorted((keys or {}).items())), tuple(inputs))
    asked = known.get(question)
    if asked is None:
        asked = known[question] = request(store.describe(), features, entity=entity, keys=keys, inputs=inputs)
    return asked


def found_online(store: FeatureStore[Any], entities: Any, asked: Request) -> Any:
    """The table with what is online, as :func:`online` gives it."""
    prepared = _prepared(entities, asked, {})
    found = store.online(prepared, asked.features, keys=asked.keys, inputs=asked.inputs)
    return tables.with_columns(entities, _checked(store, found, asked, prepared[ROW], None))


def absent(entities: Any, asked: Request) -> Any:
    """The table with nulls for features, shaped as :func:`found_online` gives it."""
    import pyarrow as pa

    nulls = {name: pa.nulls(len(entities), columns.arrow_type(type_)) for name, type_ in asked.types.items()}
    return tables.with_columns(entities, nulls)


def check_known_at(asked: Request) -> None:
    """That values can be had as they were known at a time.

    Raises:
        ConfigError: for a view that cannot say when its rows were written.
    """
    for view in asked.views:
        if not view.known_at:
            why = "this feature store cannot ask for it" if view.created else "it has no column `created`"
            raise ConfigError(
                f"the feature view {view.name!r} cannot say what was known at a time",
                why=why,
                fix="leave known_at=True away, or name the column that says when a row was written",
            )


def _prepared(entities: Any, asked: Request, further: Mapping[str, Any]) -> Any:
    """The table that a store is given."""
    import pyarrow as pa

    if taken := [name for name in asked.types if name in tables.names(entities)]:
        what = f"the table already has the column{'s' if len(taken) > 1 else ''} {', '.join(taken)}"
        raise RunError(what, fix="drop or rename them before the feature look-up")
    types = asked.key_types
    found = {name: columns.key(tables.column(entities, name), name, types[name]) for name in types}
    found |= {name: tables.column(entities, name) for name in asked.inputs if name not in found}
    found |= further
    return pa.table({ROW: _numbers(len(entities)), **found})


def _numbers(count: int) -> Any:
    import pyarrow as pa

    if count < 64:
        return pa.array(range(count), pa.int64())
    try:
        import numpy as np
    except ImportError:
        return pa.array(range(count), pa.int64())
    return pa.array(np.arange(count))


def _checked(store: FeatureStore[Any], found: Any, asked: Request, sent: Any, rows: Any) -> dict[str, Any]:
    """The features' columns, held to the rows that were sent.

    Args:
        sent: the numbers of these rows.
        rows: the numbers of all rows of the table, where some were not sent; they get null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lacking = [name for name in (ROW, *asked.types) if name not in getattr(found, "column_names", ())]
    if lacking:
        raise PluginError(
            f"the feature store {store.name!r} gave no column {lacking[0]!r}", fix="this is a defect of its plugin"
        )
    order = None
    if not found[ROW].equals(sent):
        order = pc.sort_indices(found[ROW])
        if not found[ROW].take(order).cast(pa.int64()).equals(sent):
            raise PluginError(
                f"the feature store {store.name!r} gave other rows than it was asked for: {len(found)} for {len(sent)}",
                why="rows were dropped, doubled or made up",
                fix="this is a defect of its plugin",
            )
    places = None if rows is None else pc.index_in(rows, value_set=sent)
    result = {}
    for name, declared in asked.types.items():
        values = columns.value(found[name], declared, name)
        values = values if order is None else values.take(order)
        result[name] = values if places is None else values.take(places.combine_chunks())
    return result
