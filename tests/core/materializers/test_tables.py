"""Tables: what one library wrote comes back to it unchanged, and any other reads it."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Unfit
from turnout.materializers import table as tables
from turnout.materializers.classes import name_of
from turnout.materializers.table import Table
from turnout.model.types import TypeName

DAY = dt.date(2026, 3, 1)
PANDAS = TypeName(name=name_of(pd.DataFrame))
PANDAS_SERIES = TypeName(name=name_of(pd.Series))
POLARS = TypeName(name=name_of(pl.DataFrame))
POLARS_SERIES = TypeName(name=name_of(pl.Series))
ARROW = TypeName(name=name_of(pa.Table))


def as_object(*items: Any) -> pd.Series:
    return pd.Series(list(items), dtype=object)


FRAMES = {
    "numbers": pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan], "b": [True, False], "u": np.array([1, 2], "u1")}),
    "halves": pd.DataFrame({"h": np.array([1, 2], "f2")}),
    "strings": pd.DataFrame({"s": ["x", None], "t": pd.array(["y", None], dtype="string")}),
    "nullable": pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "f": pd.array([0.5, None], dtype="Float32"),
            "a": pd.array([1, None], dtype="int64[pyarrow]"),
        }
    ),
    "times": pd.DataFrame(
        {
            "ns": pd.to_datetime(["2026-03-01 00:00:00.000000001", None]),
            "s": pd.to_datetime(["2026-03-01", None]).as_unit("s"),
            "tz": pd.to_datetime(["2026-03-01", None]).tz_localize("Europe/Berlin"),
            "d": pd.to_timedelta([1, None], unit="s"),
        }
    ),
    "seconds": pd.DataFrame({"d": pd.to_timedelta([1, 2], unit="s").as_unit("s")}),
    "periods": pd.DataFrame({"p": pd.period_range("2026", periods=2, freq="M"), "i": pd.interval_range(0, 2)}),
    "categories": pd.DataFrame({"c": pd.Categorical(["b", None], categories=["z", "b", "a"], ordered=True)}),
    "categories of numbers": pd.DataFrame({"c": pd.Categorical([3, 5], categories=[9, 3, 5])}),
    "categories without rows": pd.DataFrame({"c": pd.Categorical([], categories=["z", "a"])}),
    "objects: strings": pd.DataFrame({"o": as_object("a", "b")}),
    "objects: strings and None": pd.DataFrame({"o": as_object("a", None)}),
    "objects: strings and NaN": pd.DataFrame({"o": as_object("a", np.nan)}),
    "objects: bools": pd.DataFrame({"o": as_object(True, False)}),
    "objects: bools and None": pd.DataFrame({"o": as_object(True, None)}),
    "objects: ints": pd.DataFrame({"o": as_object(1, 2)}),
    "objects: bytes": pd.DataFrame({"o": as_object(b"x", None)}),
    "objects: dates": pd.DataFrame({"o": as_object(DAY, None), "t": as_object(dt.time(1), dt.time(2))}),
    "objects: decimals": pd.DataFrame({"o": as_object(decimal.Decimal("1.10"), None)}),
    "objects: nothing": pd.DataFrame({"o": as_object(None, None)}),
    "objects: arrays": pd.DataFrame({"o": as_object(np.array([1.0, 2.0]), np.array([3.0]))}),
    "range index": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="n")),
    "filtered": pd.DataFrame({"a": range(9)}).query("a % 4 == 0"),
    "named index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key")),
    "object index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], dtype=object)),
    "levels": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", None])),
    "dates with a frequency": pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2026", periods=3, freq="D")),
    "labels: ints": pd.DataFrame({1: [1], 0: [2]}),
    "labels: default": pd.DataFrame(np.ones((2, 2))),
    "labels: levels": pd.DataFrame({("a", "x"): [1], ("a", "y"): [2]}),
    "labels: named": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="what")),
    "labels: of two types": pd.DataFrame({"a": [1], 1: [2]}),
    "labels: odd": pd.DataFrame({"": [1], "ü/..$": [2], "__index_level_9": [3]}),
    "no rows": pd.DataFrame({"a": np.array([], "i4"), "s": pd.Series([], dtype="str")}),
    "nothing": pd.DataFrame(),
}


def roundtrip(value: Any, folder: Path, wanted: TypeName | None = None) -> Any:
    Table().save(value, folder)
    return Table().load(folder) if wanted is None else Table().load(folder, wanted)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_pandas_frames(frame: pd.DataFrame, tmp_path: Path) -> None:
    before = frame.copy(deep=True)
    assert_frame_equal(roundtrip(frame, tmp_path), frame, check_freq=True)
    assert_frame_equal(frame, before)


SERIES = {
    name: frame.iloc[:, 0]
    for name, frame in FRAMES.items()
    if not frame.empty and not isinstance(frame.columns, pd.MultiIndex)
}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_a_series_of_each(series: pd.Series, tmp_path: Path) -> None:
    assert_series_equal(roundtrip(series, tmp_path), series, check_freq=True)


@pytest.mark.parametrize("name", [None, "", "a", 3, "0"])
def test_the_name_of_a_series_is_kept(name: Any, tmp_path: Path) -> None:
    back = roundtrip(pd.Series([1, 2], name=name), tmp_path)
    assert type(back.name) is type(name)
    assert back.name == name


def test_what_categories_hold_and_missing_values_is_kept_exactly(tmp_path: Path) -> None:
    back = roundtrip(FRAMES["categories"], tmp_path)
    assert list(back["c"].cat.categories) == ["z", "b", "a"]
    (tmp_path / "n").mkdir()
    assert roundtrip(FRAMES["objects: strings and None"], tmp_path / "n")["o"][1] is None
    (tmp_path / "m").mkdir()
    assert type(roundtrip(FRAMES["objects: strings and NaN"], tmp_path / "m")["o"][1]) is float


UNFIT = {
    "mixed objects": pd.DataFrame({"o": as_object("a", 1)}),
    "lists": pd.DataFrame({"o": as_object([1], [2])}),
    "dicts": pd.DataFrame({"o": as_object({"a": 1}, None)}),
    "ints and None": pd.DataFrame({"o": as_object(1, None)}),
    "floats as objects": pd.DataFrame({"o": as_object(1.5, 2.5)}),
    "two kinds of missing": pd.DataFrame({"o": as_object("a", None, np.nan)}),
    "arrays of two kinds": pd.DataFrame({"o": as_object(np.zeros(1), np.zeros(1, "i4"))}),
    "matrices": pd.DataFrame({"o": as_object(np.zeros((1, 1)), np.zeros((1, 1)))}),
    "complex": pd.DataFrame({"o": [1 + 2j]}),
    "sparse": pd.DataFrame({"o": pd.arrays.SparseArray([0, 1])}),
    "one label twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "flag": pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "mixed index": pd.DataFrame({"a": [1, 2]}, index=["x", 1]),
    "no columns": pd.DataFrame(index=range(3)),
    "polars objects": pl.DataFrame({"o": [object()]}),
}


@pytest.mark.parametrize("value", UNFIT.values(), ids=UNFIT)
def test_what_a_table_file_would_change_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        Table().save(value, tmp_path)


class Frame(pd.DataFrame):
    """A subclass, as geopandas has."""


def test_subclasses_have_a_state_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="a subclass"):
        Table().save(Frame({"a": [1]}), tmp_path)


POLARS_FRAME = pl.DataFrame(
    {
        "i": [1, None],
        "s": ["x", None],
        "c": pl.Series(["u", None], dtype=pl.Categorical),
        "e": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u", "w"])),
        "d": [DAY, None],
        "dt": [dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), None],
        "du": [dt.timedelta(seconds=1), None],
        "t": [dt.time(1), None],
        "l": [[1], None],
        "st": [{"a": 1}, {"a": None}],
        "by": [b"x", b""],
        "n": [None, None],
        "ar": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "dec": pl.Series(["1.5", "2"]).str.to_decimal(scale=2),
        "f": pl.Series([1.0, float("nan")], dtype=pl.Float32),
        "bo": [True, None],
    }
)
ARROW_TABLE = pa.table(
    {
        "i": pa.array([1, None], pa.int16()),
        "s": pa.array(["x", None], pa.large_string()),
        "d": pa.array(["u", "v"]).dictionary_encode(),
        "ts": pa.array([0, 1], pa.timestamp("s", tz="UTC")),
        "m": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())),
        "st": pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])),
    },
    metadata={"made by": "a test"},
)


def test_polars_frames(tmp_path: Path) -> None:
    back = roundtrip(POLARS_FRAME, tmp_path, POLARS)
    assert back.schema == POLARS_FRAME.schema
    assert back.equals(POLARS_FRAME)
    assert Table().load(tmp_path).equals(POLARS_FRAME)


def test_a_polars_series(tmp_path: Path) -> None:
    series = pl.Series("n", [1, None, 3], dtype=pl.UInt8)
    back = roundtrip(series, tmp_path)
    assert (back.name, back.dtype, back.to_list()) == ("n", pl.UInt8, [1, None, 3])


def test_arrow_tables(tmp_path: Path) -> None:
    back = roundtrip(ARROW_TABLE, tmp_path, ARROW)
    assert back.equals(ARROW_TABLE, check_metadata=True)
    assert (tmp_path / "table.arrow").is_file()


def test_dictionaries_that_differ_between_chunks(tmp_path: Path) -> None:
    chunks = [pa.array([text]).dictionary_encode() for text in ("a", "b")]
    table = pa.table({"d": pa.chunked_array(chunks)})
    assert roundtrip(table, tmp_path, ARROW)["d"].to_pylist() == ["a", "b"]


SHARED = {
    "i": [1, 2, 3],
    "f": [0.5, 1.5, float("inf")],
    "s": ["x", "", "ü"],
    "b": [True, False, True],
    "t": [dt.datetime(2026, 1, day) for day in (1, 2, 3)],  # noqa: DTZ001
}
WRITERS = {"pandas": pd.DataFrame(SHARED), "polars": pl.DataFrame(SHARED), "pyarrow": pa.table(SHARED)}
READERS = {"pandas": PANDAS, "polars": POLARS, "pyarrow": ARROW}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_each_library_reads_the_others(writer: str, reader: str, tmp_path: Path) -> None:
    back = roundtrip(WRITERS[writer], tmp_path, READERS[reader])
    assert type(back) is type(WRITERS[reader])
    columns = back if reader == "pandas" else back.to_dict(as_series=False) if reader == "polars" else back.to_pydict()
    assert {name: list(items) for name, items in columns.items()} == SHARED


@pytest.mark.parametrize("reader", ["polars", "pyarrow"])
def test_an_unnamed_index_is_left_out_and_a_named_one_is_a_column(reader: str, tmp_path: Path) -> None:
    for name, frame in {
        "unnamed": FRAMES["filtered"],
        "named": FRAMES["named index"],
        "categories": FRAMES["categories"],
        "numbers": FRAMES["categories of numbers"],
    }.items():
        (tmp_path / name).mkdir()
        Table().save(frame, tmp_path / name)
    names = {}
    for case in ("unnamed", "named", "categories", "numbers"):
        back = Table().load(tmp_path / case, READERS[reader])
        names[case] = list(back.columns if reader == "polars" else back.column_names)
    assert names == {"unnamed": ["a"], "named": ["a", "key"], "categories": ["c"], "numbers": ["c"]}


@pytest.mark.parametrize("wanted", [PANDAS_SERIES, POLARS_SERIES], ids=["pandas", "polars"])
def test_a_column_is_read_as_a_series(wanted: TypeName, tmp_path: Path) -> None:
    assert list(roundtrip(pa.table({"a": [1, 2]}), tmp_path, wanted)) == [1, 2]


@pytest.mark.parametrize("wanted", [PANDAS_SERIES, POLARS_SERIES], ids=["pandas", "polars"])
def test_two_columns_are_no_series(wanted: TypeName, tmp_path: Path) -> None:
    Table().save(WRITERS["pandas"], tmp_path)
    with pytest.raises(ArtifactError, match="a table of 5 columns cannot be read as"):
        Table().load(tmp_path, wanted)


def test_a_series_is_read_as_a_frame(tmp_path: Path) -> None:
    assert roundtrip(pd.Series([1, 2], name="a"), tmp_path, POLARS).to_dict(as_series=False) == {"a": [1, 2]}


def test_without_pyarrow_pandas_says_what_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    with pytest.raises(ArtifactError) as caught:
        Table().save(WRITERS["pandas"], tmp_path)
    assert not isinstance(caught.value, Unfit)
    assert caught.value.fix == "add pyarrow to the project's requirements"
    assert roundtrip(WRITERS["polars"], tmp_path).equals(WRITERS["polars"])


def other(value: Any) -> Any:
    """The same table with one number changed."""
    frame = value.to_pandas() if isinstance(value, (pl.DataFrame, pa.Table)) else value.copy()
    frame.loc[1, "f"] = 1.6
    return {pd.DataFrame: lambda f: f, pl.DataFrame: pl.from_pandas, pa.Table: pa.Table.from_pandas}[type(value)](frame)


@pytest.mark.parametrize("value", WRITERS.values(), ids=WRITERS)
def test_the_comparator_sees_values_not_bytes(value: Any, tmp_path: Path) -> None:
    one, same, changed = tmp_path / "one", tmp_path / "same", tmp_path / "changed"
    for folder in (one, same, changed):
        folder.mkdir()
    Table().save(value, one)
    Table().save(other(value), changed)
    arrow = pa.parquet.read_table(one / "table.parquet")
    pa.parquet.write_table(arrow, same / "table.parquet", compression="none", row_group_size=1)
    assert (one / "table.parquet").read_bytes() != (same / "table.parquet").read_bytes()
    assert Table().equal(one, same)
    assert not Table().equal(one, changed)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_floats_are_compared_with_a_tolerance(make: Any, tmp_path: Path) -> None:
    for name, number in {"one": 1.0, "near": 1.0 + 1e-12, "far": 1.0001}.items():
        (tmp_path / name).mkdir()
        Table().save(make({"f": [number, float("nan")], "g": ["a", None]}), tmp_path / name)
    assert Table().equal(tmp_path / "one", tmp_path / "near")
    assert not Table().equal(tmp_path / "one", tmp_path / "far")


def test_the_index_counts_for_the_comparator(tmp_path: Path) -> None:
    for name, start in {"one": 0, "other": 1}.items():
        (tmp_path / name).mkdir()
        Table().save(pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(start, start + 2)), tmp_path / name)
    assert not Table().equal(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("levels", [["p"], ["i"], ["p", "i"]])
def test_a_file_of_0_1_with_periods_or_intervals_as_its_index(levels: list[str], tmp_path: Path) -> None:
    frame = FRAMES["periods"].assign(a=[1, 2])
    frame = frame.set_index(levels)[["a"]]
    table = pa.Table.from_pandas(frame)
    table = table.replace_schema_metadata({**table.schema.metadata, b"turnout": b'{"freq":"M"}'})
    pa.parquet.write_table(table, tmp_path / "table.parquet")
    assert_frame_equal(Table().load(tmp_path), frame)
