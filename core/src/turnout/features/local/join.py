"""Joins as of a time, by Polars: for each row of a table the row of a view that holds for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnout.components.feature_store import ROW

_NUMBER = "turnout_number"
_TIME = "turnout_time"
_SINCE = "turnout_since"
_CREATED = "turnout_created"


def micros(times: Any, *, up: bool) -> Any:
    """A Polars series of times as microseconds since 1970 in UTC.

    Finer times are rounded *up* where they say since when a row holds, and down where they ask: nothing of the future
    leaks, and no time is too large for the common unit.
    """
    import polars as pl

    if times.dtype == pl.Date:
        times = times.cast(pl.Datetime("us"))
    if times.dtype.time_unit != "ns":
        return times.cast(pl.Datetime("us")).cast(pl.Int64)
    nanos = times.cast(pl.Int64)
    return -(-nanos // 1000) if up else nanos // 1000


def numbers(
    entities: Any,
    keys: Sequence[str],
    timestamp: str,
    *,
    view: Any,
    view_keys: Sequence[str],
    since: str,
    created: str,
    ttl: float | None,
    known_at: bool,
) -> Any:
    """For each row of *entities* the number of the row of *view* that holds for it, or null: a Polars series.

    Args:
        entities: a Polars frame with :data:`ROW`, which counts up.
        keys: its columns that correspond to *view_keys*.
        timestamp: its column with the time as of which a row must hold.
        view: the view as a Polars frame.
        since: the view's column with the time from which a row holds.
        created: the view's column with the time at which a row was written, or empty.
        ttl: seconds after which a row no longer holds.
        known_at: whether a row must have been written by then.
    """
    import polars as pl

    right = ordered(view, view_keys, since, created)
    ages = right
    if known_at:
        right = _known(right, view_keys)
    left = pl.DataFrame([entities[key].alias(name) for key, name in zip(keys, view_keys, strict=True)])
    left = left.with_columns(micros(entities[timestamp], up=False).alias(_TIME), entities[ROW])
    right = right.with_columns(
        pl.col(name).cast(left.schema[name]) for name in view_keys if right.schema[name] != left.schema[name]
    )
    joined = left.sort(_TIME).join_asof(
        right.select(*view_keys, _SINCE, _NUMBER),
        left_on=_TIME,
        right_on=_SINCE,
        by=list(view_keys),
        strategy="backward",
        check_sortedness=False,
        coalesce=False,
    )
    joined = joined.sort(ROW)
    if ttl is None:
        return joined[_NUMBER]
    if known_at:
        joined = joined.drop(_SINCE).join(ages.select(_NUMBER, _SINCE), on=_NUMBER, how="left", maintain_order="left")
    holds = pl.col(_TIME) - pl.col(_SINCE) <= round(ttl * 1_000_000)
    return joined.select(pl.when(holds).then(pl.col(_NUMBER)))[_NUMBER]


def ordered(view: Any, keys: Sequence[str], since: str, created: str) -> Any:
    """The rows of a view that name an entity and a time, by time, then by when they were written, then as they lie.

    The columns are those of *keys*, the time, when it was written, and the number of the row in the view.
    """
    import polars as pl

    frame = view.select(*keys).with_columns(micros(view[since], up=True).alias(_SINCE)).with_row_index(_NUMBER)
    order = [_SINCE]
    finer = {since: view[since]} if getattr(view.schema[since], "time_unit", "") == "ns" else {}
    if created:
        finer[created] = view[created]
        frame = frame.with_columns(micros(view[created], up=True).alias(_CREATED))
    for name, values in finer.items():
        frame = frame.with_columns(values.alias(f"{_NUMBER}_{name}"))
        order.append(f"{_NUMBER}_{name}")
    frame = frame.filter(pl.all_horizontal(pl.col(*keys, _SINCE).is_not_null()))
    return frame.sort(order, nulls_last=False, maintain_order=True)


def _known(right: Any, keys: Sequence[str]) -> Any:
    """Rows by the time from which each is known, numbered as the one that then counts: the newest known so far."""
    import polars as pl

    places = right.with_row_index("place").filter(pl.col(_CREATED).is_not_null())
    places = places.with_columns(pl.max_horizontal(_SINCE, _CREATED).alias(_SINCE)).sort(_SINCE, maintain_order=True)
    places = places.with_columns(pl.col("place").cum_max().over(list(keys)))
    return places.with_columns(right[_NUMBER].gather(places["place"]).alias(_NUMBER))


def newest(view: Any, keys: Sequence[str], since: str, created: str, after: int | None, until: int) -> Any:
    """The rows that are each entity's newest in a window, with their times in microseconds.

    Args:
        after: the start of the window, which is no part of it, in microseconds; None for no start.
        until: its end, which is part of it.

    Returns:
        A Polars frame of the number of the row in the view, the time from which it holds, and when it was written
        (null without *created*).
    """
    import polars as pl

    rows = ordered(view, keys, since, created).filter(pl.col(_SINCE) <= until)
    if after is not None:
        rows = rows.filter(pl.col(_SINCE) > after)
    rows = rows.unique(subset=list(keys), keep="last", maintain_order=True)
    written = pl.col(_CREATED) if created else pl.lit(None, pl.Int64)
    return rows.select(number=pl.col(_NUMBER), since=pl.col(_SINCE), created=written)
