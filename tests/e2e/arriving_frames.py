"""Tables that Arrow alone would change or refuse, by kind; and what differs between two values, down to each object."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

BY_DAY = pd.DataFrame(
    {
        "day": pd.to_datetime(["2026-01-03", "2026-01-20", "2026-02-02"]),
        "sales": [5, 7, 3],
        "size": [5, 15, 25],
        "shop": ["a", "b", "a"],
    }
)
MONTH = BY_DAY.day.dt.to_period("M")
BAND = pd.cut(BY_DAY["size"], [0, 10, 30])


def objects(*items: Any) -> pd.DataFrame:
    column = np.empty(len(items), dtype=object)
    for n, item in enumerate(items):
        column[n] = item
    return pd.DataFrame({"o": pd.Series(column, dtype=object)})


def indexed(index: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": range(len(index))}, index=index)


def labelled(columns: Any) -> pd.DataFrame:
    return pd.DataFrame([range(len(columns))], columns=columns)


def every(frequency: Any) -> pd.DataFrame:
    return indexed(pd.date_range("2026-01-05", periods=3, freq=frequency))


def with_attrs(**attrs: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs.update(attrs)
    return frame


def arrow(values: Any, kind: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))})


def pivot(columns: Any) -> pd.DataFrame:
    return BY_DAY.assign(c=columns).pivot_table(index="shop", columns="c", values="sales", observed=False)


KINDS = {
    "periods and intervals in the index": {
        "sum by month": BY_DAY.groupby(MONTH)[["sales"]].sum,
        "series by month": BY_DAY.groupby(MONTH)["sales"].sum,
        "by month and shop": BY_DAY.groupby([MONTH, "shop"])[["sales"]].sum,
        "weeks": lambda: indexed(pd.PeriodIndex(["2026-01-04", None], freq="W-TUE")),
        "intervals": lambda: indexed(pd.interval_range(0, 2)),
        "intervals of times": lambda: indexed(pd.interval_range(pd.Timestamp("2026"), periods=2, closed="left")),
        "an interval is missing": lambda: indexed(pd.IntervalIndex.from_tuples([(0, 1), np.nan])),
        "intervals as a level": lambda: indexed(pd.MultiIndex.from_arrays([pd.interval_range(0, 2), ["x", "y"]])),
        "series by interval": lambda: pd.Series([1, 2], index=pd.interval_range(0, 2), name=("a", 1)),
        "columns": lambda: pd.DataFrame({"p": MONTH, "i": pd.interval_range(0, 3)}),
        "nullable numbers": lambda: indexed(pd.Index([1, None], dtype="Int8")),
        "one level": lambda: indexed(pd.MultiIndex.from_arrays([[1, 2]], names=["k"])),
        "a number as its name": lambda: indexed(pd.Index([1, 5], name=3)),
        "None among texts": lambda: indexed(pd.Index(["a", None], dtype=object)),
    },
    "categories, pivots and odd columns": {
        "cut": lambda: BY_DAY.assign(band=BAND),
        "cut with a gap": lambda: BY_DAY.assign(band=pd.cut(BY_DAY["size"], [0, 10])),
        "qcut": lambda: BY_DAY.assign(band=pd.qcut(BY_DAY["size"], 2)),
        "sum by cut": BY_DAY.groupby(BAND, observed=False)[["sales"]].sum,
        "by cut and shop": BY_DAY.groupby([BAND, "shop"], observed=False)[["sales"]].sum,
        "counts of a cut": BAND.value_counts,
        "pivot over categories": lambda: pivot(BY_DAY.shop.astype("category")),
        "pivot over periods": lambda: pivot(MONTH),
        "pivot over days": lambda: pivot(BY_DAY.day),
        "pivot over dates": lambda: pivot(BY_DAY.day.dt.date),
        "pivot over bands": lambda: pivot(BAND),
        "categories of periods": lambda: pd.DataFrame({"c": pd.Categorical(MONTH)}),
        "categories of decimals": lambda: pd.DataFrame({"c": pd.Categorical([Decimal("1.50"), Decimal(1)])}),
        "timedeltas": lambda: labelled(pd.to_timedelta([1, 2], unit="h")),
        "intervals": lambda: labelled(pd.interval_range(0, 2)),
        "days every day": lambda: labelled(pd.date_range("2026", periods=2, freq="D", tz="Europe/Paris")),
        "bools": lambda: labelled([True, False]),
        "a tuple as their name": lambda: labelled(pd.Index(["a", "b"], name=("x", 1))),
        "text of another type": lambda: labelled(pd.Index(["a", "b"], dtype="string")),
        "objects": lambda: labelled(pd.Index(["a", "b"], dtype=object)),
        "a label twice": lambda: labelled(["a", "a"]),
        "integers of 70 bits": lambda: objects(1 << 70, 1),
        "arrays and NaN": lambda: objects(np.array([1.0]), np.nan),
        "Arrow lists": lambda: arrow([[1, 2], None], pa.list_(pa.int64())),
        "Arrow structs": lambda: arrow([{"a": 1}, None], pa.struct([("a", pa.int64())])),
        "Arrow maps": lambda: arrow([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        "Arrow dictionaries": lambda: arrow(["a", None], pa.dictionary(pa.int8(), pa.string())),
        "Arrow decimals": lambda: arrow([Decimal("1.50"), None], pa.decimal128(5, 2)),
    },
    "offsets": {
        "months": lambda: every(pd.DateOffset(months=1)),
        "business days with holidays": lambda: every(pd.offsets.CustomBusinessDay(holidays=["2026-01-06"])),
        "Easter": lambda: every(pd.offsets.Easter()),
        "business hours": lambda: every(pd.offsets.BusinessHour(start="10:00")),
        "normalised": lambda: every(pd.offsets.MonthEnd(normalize=True)),
        "two weeks": lambda: every("2W-TUE"),
        "no rows": lambda: every("D")[:0],
        "of a timedelta": lambda: indexed(pd.timedelta_range("1h", periods=2, freq="h")),
        "of labels": lambda: labelled(pd.date_range("2026", periods=2, freq=pd.DateOffset(months=1))),
    },
    "objects and attributes": {
        "a decimal that is no number": lambda: objects(Decimal("NaN"), Decimal(1)),
        "decimals of two scales": lambda: objects(Decimal("1.50"), Decimal(1)),
        "a decimal with an exponent": lambda: objects(Decimal("1E+3")),
        "a negative zero": lambda: objects(Decimal("-0.0"), Decimal("1.0")),
        "decimals of one scale": lambda: objects(Decimal("1.50"), None),
        "decimals as the index": lambda: indexed(pd.Index([Decimal("1.50"), Decimal(1)])),
        "a time with a zone": lambda: objects(dt.time(1, tzinfo=dt.timezone.utc)),
        "a folded time": lambda: objects(dt.time(1, fold=1)),
        "a numpy integer": lambda: objects(np.int64(1), 2),
        "texts and NA": lambda: objects("a", pd.NA),
        "datetimes": lambda: objects(dt.datetime(2026, 1, 1), None),  # noqa: DTZ001
        "attributes": lambda: with_attrs(day=dt.date(2026, 1, 1), shape=(1, 2), z=-0.0, a=None),
        "a frame as an attribute": lambda: with_attrs(frame=pd.DataFrame({"b": [1]})),
    },
    "other libraries": {
        "Polars Int128": lambda: pl.DataFrame({"a": pl.Series([1 << 100, 2], dtype=pl.Int128)}),
        "Polars, a name of pandas": lambda: pl.DataFrame({"__index_level_0__": [1]}),
        "lazy": lambda: pl.LazyFrame({"a": [1]}),
        "a name twice": lambda: pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]),
        "pandas' index as a column": lambda: pa.Table.from_pandas(indexed(["x", "y"])),
        "pandas' type of Arrow": lambda: pa.Table.from_pandas(pd.DataFrame({"p": MONTH})),
    },
}


def difference(left: Any, right: Any, path: str = "value") -> str | None:
    """Where two values differ, in type, order, labels or text; None where nothing tells them apart."""
    if type(left) is not type(right):
        return f"{path}: {type(left)} and {type(right)}"
    if isinstance(left, pl.LazyFrame):
        return difference(left.collect(), right.collect(), path)
    if isinstance(left, pl.DataFrame):
        return None if left.schema == right.schema and left.rows() == right.rows() else f"{path}: {left} and {right}"
    if isinstance(left, pa.Table):
        same = left.schema.equals(right.schema, check_metadata=True) and left.equals(right)
        return None if same else f"{path}: {left} and {right}"
    if isinstance(left, pd.DataFrame):
        columns = [(f"[{n}]", left.iloc[:, n].array, right.iloc[:, n].array) for n in range(left.shape[1])]
        parts = [(".columns", left.columns, right.columns), (".index", left.index, right.index), *columns]
        return first(path, [(".attrs", left.attrs, right.attrs), *parts])
    if isinstance(left, pd.Series):
        parts = [(".name", left.name, right.name), (".index", left.index, right.index)]
        return first(path, [*parts, ("", left.array, right.array)])
    if isinstance(left, pd.MultiIndex):
        levels = [
            (f".{n}", left.get_level_values(n).array, right.get_level_values(n).array) for n in range(left.nlevels)
        ]
        return first(path, [(".names", list(left.names), list(right.names)), *levels])
    if isinstance(left, pd.Index):
        freqs = (getattr(left, "freq", None), getattr(right, "freq", None))
        return first(path, [(".names", list(left.names), list(right.names)), ("", left.array, right.array)]) or (
            None if freqs[0] == freqs[1] else f"{path}.freq: {freqs}"
        )
    if isinstance(left, pd.Categorical):
        return first(path, [("", list(left.codes), list(right.codes)), ("", left.categories, right.categories)])
    if isinstance(left, pd.api.extensions.ExtensionArray):
        types = (repr(left.dtype), repr(right.dtype))
        return first(path, [("", list(left), list(right))]) if types[0] == types[1] else f"{path}: {types}"
    if isinstance(left, (list, tuple)):
        if len(left) != len(right):
            return f"{path}: {len(left)} and {len(right)} items"
        return first(path, [(f"[{n}]", one, other) for n, (one, other) in enumerate(zip(left, right, strict=True))])
    if isinstance(left, dict):
        return first(path, [("", list(left.items()), list(right.items()))])
    if isinstance(left, np.ndarray):
        return None if (left.dtype, left.tolist()) == (right.dtype, right.tolist()) else f"{path}: {left}, {right}"
    return None if repr(left) == repr(right) else f"{path}: {left!r} and {right!r}"


def first(path: str, parts: list[tuple[str, Any, Any]]) -> str | None:
    return next((found for end, left, right in parts if (found := difference(left, right, path + end))), None)
