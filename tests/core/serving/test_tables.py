"""Rows of requests as tables: what training's table would be, exactly, or an error that names the place."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout.materializers import table
from turnout.materializers.table import Table
from turnout.model.endpoint_plan import Column, Request
from turnout.model.types import TypeName
from turnout.serving.tables import BadRequest, TableReader, prototype, stored_rows

FRAME = pd.DataFrame(
    {
        "x": [1.5, np.nan, -0.0],
        "n": np.array([1, 2, 3], "int8"),
        "ok": [True, False, True],
        "name": ["a", "b", None],
        "kind": pd.Categorical(["low", None, "high"], categories=["low", "mid", "high"], ordered=True),
        "at": pd.to_datetime(["2026-01-31 12:00", None, "2026-02-01 00:00"]).tz_localize("Europe/Paris"),
        "day": pd.to_datetime(["2026-01-31", "2026-02-01", "2026-02-02"]),
        "took": pd.to_timedelta(["1h", "90s", None]),
        "price": [Decimal("1.50"), Decimal("2.25"), None],
    }
)


def reader(tmp_path, frame, kind="pandas:DataFrame", nullable=True):
    Table().save(frame, tmp_path)
    empty = table.empty(tmp_path)
    columns = tuple(Column(name=f.name, type=str(f.type), nullable=nullable) for f in empty.schema)
    type_ = TypeName(name=kind, text=kind)
    return TableReader(Request(name="rows", type=type_, columns=columns, prototype=prototype(empty)))


def through_json(rows):
    return json.loads(msgspec.json.encode(rows))


def test_rows_of_training_come_back_as_they_were(tmp_path):
    made = reader(tmp_path, pd.concat([FRAME, FRAME], ignore_index=True))
    rows = through_json(stored_rows(tmp_path, list(FRAME.columns)))  # the first half
    found = made.of_rows(rows)
    pd.testing.assert_frame_equal(found, Table().load(tmp_path).iloc[: len(FRAME)])
    one = made.of_rows(rows[:1])
    assert list(one["kind"].cat.categories) == ["low", "mid", "high"]
    assert made.of_rows([]).dtypes.equals(found.dtypes)


def test_polars_and_arrow(tmp_path):
    frame = FRAME[["x", "n", "ok", "name"]]
    rows = [{"x": 1.0, "n": 1, "ok": True, "name": "a"}]
    made = reader(tmp_path, frame, "polars.dataframe.frame:DataFrame").of_rows(rows)
    assert made.equals(pl.DataFrame(rows, schema={"x": pl.Float64, "n": pl.Int8, "ok": pl.Boolean, "name": pl.String}))
    assert reader(tmp_path / "", frame, "pyarrow.lib:Table").of_rows(rows).to_pylist() == rows


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"x": "1"}, "rows[0].x: takes a number, not '1'"),
        ({"x": True}, "rows[0].x: takes a number, not True"),
        ({"n": 1.5}, "rows[0].n: takes a whole number, not 1.5"),
        ({"n": 300}, "rows[0].n: takes whole numbers from -128 to 127, not 300"),
        ({"n": True}, "rows[0].n: takes a whole number, not True"),
        ({"ok": 1}, "rows[0].ok: takes true or false, not 1"),
        ({"name": 3}, "rows[0].name: takes a text, not 3"),
        ({"name": "\ud800"}, "rows[0].name: takes text that UTF-8 can encode, not '\\ud800'"),
        ({"kind": "none"}, "rows[0].kind: has no category 'none'"),
        ({"at": "2026-01-31T12:00:00"}, "rows[0].at: takes a time with its offset, such as 2026-01-31T12:00:00Z"),
        ({"day": "2026-01-31T12:00:00Z"}, "rows[0].day: takes a time without an offset"),
        ({"day": "tomorrow"}, "rows[0].day: takes a time such as"),
        ({"took": 3}, "rows[0].took: takes a duration such as PT1H30M, not 3"),
        ({"price": 1.5}, "rows[0].price: takes a decimal of"),
        ({"price": "1.234"}, "rows[0].price: takes a decimal of"),
        ({"other": 1}, "rows[0]: has no column 'other'"),
        ({"nam": 1}, "rows[0]: has no column 'nam'. Did you mean 'name'?"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, row, told):
    made = reader(tmp_path, FRAME)
    whole = through_json(stored_rows(tmp_path, list(FRAME.columns)))[0]
    with pytest.raises(BadRequest) as refused:
        made.of_rows([{**whole, **row}])
    assert str(refused.value).startswith(told)


def test_missing_columns_nulls_and_what_are_no_rows(tmp_path):
    made = reader(tmp_path, FRAME[["x", "n"]])
    for rows, told in (
        ([{"x": 1.0}], "rows[0]: lacks 'n'"),
        ([{}], "rows[0]: lacks 'x', 'n'"),
        ([{"x": 1.0, "n": 1}, 3], "rows[1]: takes an object, a column by its name each"),
        ({"x": 1.0}, "rows: takes a list of rows, an object each"),
        (None, "rows: takes a list of rows, an object each"),
    ):
        with pytest.raises(BadRequest) as refused:
            made.of_rows(rows)
        assert str(refused.value) == told
    made = reader(tmp_path, FRAME[["x", "n"]], nullable=False)
    with pytest.raises(BadRequest, match=r"rows\[0\]\.x: takes no null"):
        made.of_rows([{"x": None, "n": 1}])


def test_whole_floats_are_integers_as_clients_send_them(tmp_path):
    made = reader(tmp_path, FRAME[["x", "n"]])
    pd.testing.assert_frame_equal(made.of_rows([{"x": 1, "n": 2.0}]), made.of_rows([{"x": 1.0, "n": 2}]))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
@settings(max_examples=200, deadline=None)
def test_any_value_is_taken_or_refused(value):
    for name, kind in (
        ("i", pa.int32()), ("u", pa.uint64()), ("f", pa.float32()), ("b", pa.bool_()), ("s", pa.string()),
        ("t", pa.timestamp("us", "UTC")), ("d", pa.date32()), ("l", pa.list_(pa.int8())), ("z", pa.null()),
        ("y", pa.binary()), ("e", pa.decimal128(5, 2)), ("h", pa.time64("us")), ("o", pa.struct([("a", pa.int8())])),
    ):  # fmt: skip
        empty = pa.table({name: pa.array([], kind)})
        columns = (Column(name=name, type=str(kind)),)
        request = Request(
            name="rows",
            type=TypeName(name="pyarrow.lib:Table", text="Table"),
            columns=columns,
            prototype=prototype(empty),
        )
        try:
            made = TableReader(request).of_rows([{name: value}])
        except BadRequest as refused:
            told = str(refused)
        else:
            told = "rows[" if made.column(name).type == kind else str(made)
        assert told.startswith("rows[")


def test_times_are_in_their_zone(tmp_path):
    made = reader(tmp_path, FRAME[["at"]]).of_rows([{"at": "2026-07-01T12:00:00Z"}])
    assert made["at"][0] == datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    assert made["at"][0].utcoffset() == timedelta(hours=2)


def columns_of(length):
    """Columns that frames are made of without Arrow, with nulls where their types have them."""
    texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
    return st.fixed_dictionaries(
        {
            "x": st.lists(st.none() | st.floats(), min_size=length, max_size=length),
            "y": st.lists(st.none() | st.floats(width=32), min_size=length, max_size=length),
            "z": st.lists(st.none() | st.floats(), min_size=length, max_size=length),
            "n": st.lists(st.integers(-128, 127), min_size=length, max_size=length),
            "ok": st.lists(st.booleans(), min_size=length, max_size=length),
            "name": st.lists(texts, min_size=length, max_size=length),
            "kind": st.lists(st.sampled_from([None, 0, 1, 2]), min_size=length, max_size=length),
        }
    )


@pytest.fixture(scope="module", params=["blocks", "columns"])
def quick(request, tmp_path_factory):
    frame = FRAME[["x", "name", "n", "ok", "kind"]].assign(y=np.float32([1, 2, 3]), z=[0.5, None, 1.0])
    made = reader(tmp_path_factory.mktemp("table"), frame)
    if request.param == "columns":  # as before pandas 3
        made._pandas._from_blocks = None
    return made


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3).flatmap(columns_of))
def test_a_frame_made_without_arrow_is_the_one_made_by_it(quick, values):
    made = quick
    arrays = [made._array(field, values[field.name]) for field in made._empty.schema]
    by_arrow = made._made(pa.Table.from_arrays(arrays, schema=made._empty.schema))
    pd.testing.assert_frame_equal(made._pandas.frame(values), by_arrow, check_exact=True)
