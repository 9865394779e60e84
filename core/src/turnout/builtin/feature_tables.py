"""The table work of the local feature store: which row of a view holds, and columns added to any kind of table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from turnout.base.errors import ConfigError, RunError

_UNITS = ("s", "ms", "us", "ns")


def newest_rows(
    entities: Any,
    keys: Sequence[str],
    timestamp: str | None,
    *,
    view: Any,
    view_keys: Sequence[str],
    since: str,
    name: str,
) -> Any:
    """For each row of *entities* the number of the view's row that holds for it, or null; a pyarrow array.

    Args:
        keys: the columns of *entities* that correspond to *view_keys*.
        timestamp: the column of *entities* with the time as of which a row must hold; None for the newest row.
        view: the view as a pyarrow table.
        since: the view's column with the time from which a row holds.
        name: the view's name, for messages.
    """
    import pandas as pd
    import pyarrow as pa

    left, right = _codes(entities, keys, view, view_keys, name)
    times = _times(column(view, since), f"the column {since!r} of the feature view {name!r}")
    known = pd.DataFrame({"code": right, "time": times, "row": range(len(right))})
    known = known[(known["code"] >= 0) & known["time"].notna()]
    asked = pd.DataFrame({"code": left, "place": range(len(left))})
    if timestamp is None:
        newest = known.sort_values("time", kind="stable").drop_duplicates("code", keep="last").set_index("code")["row"]
        rows = asked["code"].map(newest)
    else:
        asked["time"] = _times(column(entities, timestamp), f"the column {timestamp!r} of the table")
        asked["time"], known["time"] = _same_unit(asked["time"], known["time"])
        found = pd.merge_asof(
            asked[asked["time"].notna()].sort_values("time", kind="stable"),
            known.sort_values("time", kind="stable"),
            on="time",
            by="code",
        )
        rows = found.set_index("place")["row"].reindex(asked["place"])
    return pa.array(rows.astype("Int64").reset_index(drop=True), type=pa.int64())


def newest_of_each(view: Any, keys: Sequence[str], timestamp: str, until: datetime, name: str) -> list[int]:
    """The numbers of the rows that are each entity's newest at *until*, in the order of the view."""
    import pandas as pd

    codes, _ = _codes(view, keys, view, keys, name)
    times = _times(column(view, timestamp), f"the column {timestamp!r} of the feature view {name!r}")
    known = pd.DataFrame({"code": codes, "time": times})
    known = known[(known["code"] >= 0) & (known["time"] <= pd.Timestamp(until))]
    newest = known.sort_values("time", kind="stable").drop_duplicates("code", keep="last")
    return [int(row) for row in sorted(newest.index)]


def column(table: Any, name: str) -> Any:
    """A column of a pandas, Polars or pyarrow table as a pandas series.

    Raises:
        RunError: when the table has none of that name, or is no table.
    """
    names = _names(table)
    if name not in names:
        raise RunError(
            f"the table has no column {name!r}",
            why=f"its columns are {', '.join(map(str, names))}" if names else f"it is a {type(table).__name__}",
            fix="give the feature look-up a table with the entity's and the time's column",
        )
    found = table[name]
    series = found if type(found).__module__.partition(".")[0] == "pandas" else found.to_pandas()
    return series.reset_index(drop=True)


def _names(table: Any) -> list[Any]:
    """The names of a table's columns; pyarrow's ``columns`` are the columns themselves."""
    return list(table.column_names if hasattr(table, "column_names") else getattr(table, "columns", ()))


def _codes(table: Any, keys: Sequence[str], view: Any, view_keys: Sequence[str], name: str) -> tuple[Any, Any]:
    """Numbers that are equal where the keys of two tables are; -1 where a key is null."""
    import pandas as pd

    both = []
    for key, view_key in zip(keys, view_keys, strict=True):
        left, right = _plain(column(table, key)), _plain(column(view, view_key))
        if len(left.dropna()) and len(right.dropna()) and _family(left) != _family(right):
            raise RunError(
                f"the column {key!r} of the table and {view_key!r} of the feature view {name!r} never match",
                why=f"one has {_family(left)}, the other {_family(right)}",
                fix="convert the table's column",
            )
        both.append(pd.concat([left.astype(object), right.astype(object)], ignore_index=True))
    codes = both[0].groupby(both, sort=False).ngroup().fillna(-1).astype("int64")
    return codes[: len(left)], codes[len(left) :].reset_index(drop=True)


def _plain(series: Any) -> Any:
    """A key column without its categories."""
    if getattr(series.dtype, "name", "") == "category":
        return series.astype(series.cat.categories.dtype)
    return series


def _family(series: Any) -> str:
    import pandas as pd

    kind = pd.api.types.infer_dtype(series, skipna=True)
    return "numbers" if kind in {"integer", "floating", "mixed-integer-float", "decimal"} else f"{kind}s"


def _times(series: Any, what: str) -> Any:
    """A column of times in UTC."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(series) and len(series.dropna()):
        raise RunError(f"{what} has numbers, not times", fix="convert it, for example by pandas.to_datetime")
    try:
        texts = not pd.api.types.is_datetime64_any_dtype(series)
        return pd.to_datetime(series, utc=True, format="ISO8601" if texts else None)
    except (ValueError, TypeError):
        raise RunError(
            f"{what} cannot be read as times", fix="convert it, or write ISO 8601: 2026-01-31T12:00"
        ) from None


def _same_unit(left: Any, right: Any) -> tuple[Any, Any]:
    """Two columns of times in the finer of their two units, so that none is rounded."""
    unit = max(left.dt.unit, right.dt.unit, key=_UNITS.index)
    try:
        return left.dt.as_unit(unit), right.dt.as_unit(unit)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"times do not fit into the unit {unit}: {error}", fix="correct the times") from None


def with_columns(table: Any, columns: dict[str, Any]) -> Any:
    """The table, of its own kind, with pyarrow arrays appended as columns.

    Raises:
        RunError: when the table has a column of one of the names, or is no table.
    """
    existing = _names(table)
    taken = [name for name in columns if name in existing]
    if taken:
        what = f"the table already has the column{'s' if len(taken) > 1 else ''} {', '.join(taken)}"
        raise RunError(what, fix="drop or rename them before the feature look-up")
    library = type(table).__module__.partition(".")[0]
    if library == "pandas":
        import pandas as pd

        added = {name: array.to_pandas().set_axis(table.index) for name, array in columns.items()}
        return pd.concat([table, pd.DataFrame(added, index=table.index)], axis=1)
    if library == "polars":
        import polars as pl

        return table.with_columns(**{name: pl.from_arrow(array) for name, array in columns.items()})
    for name, array in columns.items():
        table = table.append_column(name, array)
    return table
