"""Values of parameters: strict by their declared type, canonical, and back."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.base import canonical
from turnout.base.errors import ConfigError, Location
from turnout.cli.options import parameters
from turnout.model.types import JSON_TYPE, ParamType
from turnout.model.values import convert, revive

INT, FLOAT, BOOL, STR = (ParamType(kind=kind) for kind in ("int", "float", "bool", "str"))
DATETIME, DATE, SPAN, FILE = (ParamType(kind=kind) for kind in ("datetime", "date", "timedelta", "file"))
MAYBE_INT = ParamType(kind="int", optional=True)
INTS = ParamType(kind="list", items=(INT,))
SPANS = ParamType(kind="dict", items=(SPAN,))
COLOUR = ParamType(kind="str", choices=("red", "green"))
LEVEL = ParamType(kind="int", choices=(1, 2))
MIXED = ParamType(kind="json", choices=(1, "auto", True))
DIGEST = "0123456789abcdef" * 4


class Colour(Enum):
    RED = "red"
    GREEN = "green"


NAIVE = datetime(2026, 1, 2)  # noqa: DTZ001 - stays without a zone

FITTING = [
    (3, INT, 3),
    (3.0, INT, 3),
    (-0.0, INT, 0),
    ("3", INT, 3),
    (" -3 ", INT, -3),
    ("3.0", INT, 3),
    ("123456789012345678901", INT, 123456789012345678901),
    (123456789012345678901, INT, 123456789012345678901),
    (np.int64(3), INT, 3),
    (np.float32(3), INT, 3),
    (2, FLOAT, 2.0),
    ("2", FLOAT, 2.0),
    ("1e-3", FLOAT, 0.001),
    (".5", FLOAT, 0.5),
    (-0.0, FLOAT, 0.0),
    (True, BOOL, True),
    ("TRUE", BOOL, True),
    ("false", BOOL, False),
    (np.bool_(True), BOOL, True),
    ("null", STR, "null"),
    ("true", STR, "true"),
    ("2026-01-02", DATETIME, "2026-01-02T00:00:00Z"),
    ("2026-01-02T03:04", DATETIME, "2026-01-02T03:04:00Z"),
    ("2026-01-02 03:04:05+02:00", DATETIME, "2026-01-02T01:04:05Z"),
    ("2026-01-02T03:04:05.25Z", DATETIME, "2026-01-02T03:04:05.250000Z"),
    ("2026-01-02T03:04:05.000000000Z", DATETIME, "2026-01-02T03:04:05Z"),
    (NAIVE, DATETIME, "2026-01-02T00:00:00[naive]"),
    (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))), DATETIME, "2026-01-02T00:00:00+01:00[+01:00]"),
    (pd.Timestamp("2026-01-02T03:04:05+01:00"), DATETIME, "2026-01-02T03:04:05+01:00[+01:00]"),
    (timedelta(days=200_000, seconds=1), SPAN, 17280000001),
    (date(2026, 1, 2), DATE, "2026-01-02"),
    ("2026-01-02", DATE, "2026-01-02"),
    (90, SPAN, 90),
    (1.5, SPAN, 1.5),
    ("90", SPAN, 90),
    ("PT1M30S", SPAN, 90),
    ("P1DT2H3M4.5S", SPAN, 93784.5),
    ("-P1W", SPAN, -604800),
    (timedelta(minutes=2), SPAN, 120),
    ([1, "2", 3.0], INTS, [1, 2, 3]),
    ((1, 2), INTS, [1, 2]),
    ("[1, 2]", INTS, [1, 2]),
    ({"a": "PT1S"}, SPANS, {"a": 1}),
    ('{"a": 2}', SPANS, {"a": 2}),
    ("red", COLOUR, "red"),
    (Colour.GREEN, COLOUR, "green"),
    ("2", LEVEL, 2),
    (2.0, LEVEL, 2),
    ("1", MIXED, 1),
    ("true", MIXED, True),
    ("auto", MIXED, "auto"),
    (None, MAYBE_INT, None),
    ("null", MAYBE_INT, None),
    ("3", MAYBE_INT, 3),
    ({"b": [1, None, (2.5, np.int64(3))]}, JSON_TYPE, {"b": [1, None, [2.5, 3]]}),
    ("5", JSON_TYPE, "5"),
    ("null", JSON_TYPE, "null"),
    ("data/a.parquet", FILE, {"path": "data/a.parquet"}),
    (PurePosixPath("data/a.parquet"), FILE, {"path": "data/a.parquet"}),
    (r"C:\data\a.parquet", FILE, {"path": r"C:\data\a.parquet"}),
    ("s3://bucket/a.parquet", FILE, {"url": "s3://bucket/a.parquet"}),
    ("file:///data/a%20b.parquet", FILE, {"path": "/data/a b.parquet"}),
    ({"url": "s3://bucket/a"}, FILE, {"url": "s3://bucket/a"}),
    ({"digest": DIGEST, "suffix": ".tar.gz"}, FILE, {"digest": DIGEST, "suffix": ".tar.gz"}),
    (f'{{"digest": "{DIGEST}", "suffix": ""}}', FILE, {"digest": DIGEST, "suffix": ""}),
]

MISFITS = [
    (2.5, INT),
    (True, INT),
    ("3.5", INT),
    ("1_000", INT),
    ("٣", INT),
    ("0x10", INT),
    (1e300, INT),
    ("9" * 5000, INT),
    (None, INT),
    ("null", INT),
    (float("nan"), FLOAT),
    ("inf", FLOAT),
    ("1e999", FLOAT),
    (10**400, FLOAT),
    (True, FLOAT),
    (0, BOOL),
    (1.0, BOOL),
    ("yes", BOOL),
    ("1", BOOL),
    (3, STR),
    (b"a", STR),
    ("\ud800", STR),
    ("yesterday", DATETIME),
    ("2026-02-30", DATETIME),
    ("2026-01-02T25:00", DATETIME),
    ("2026-01-02T03:04:05.0000001", DATETIME),
    ("0001-01-01T00:00:00+01:00", DATETIME),
    (1767225600, DATETIME),
    (pd.NaT, DATETIME),
    (np.datetime64("2026-01-02T00:00:00", "ns"), DATETIME),
    (NAIVE, DATE),
    ("2026-01-02T00:00:00Z", DATE),
    ("2026-1-2", DATE),
    ("P1Y", SPAN),
    ("P", SPAN),
    ("PT", SPAN),
    ("1h", SPAN),
    (float("inf"), SPAN),
    (10**20, SPAN),
    (True, SPAN),
    (timedelta(days=99421, microseconds=1), SPAN),
    ([1, "x"], INTS),
    ("1, 2", INTS),
    ('{"a": 1}', INTS),
    ({1, 2}, INTS),
    ([[1]], INTS),
    ({1: 2}, SPANS),
    ({"a": "x"}, SPANS),
    ("[NaN]", ParamType(kind="list")),
    ("blue", COLOUR),
    (3, LEVEL),
    (True, LEVEL),
    (False, MIXED),
    (object(), JSON_TYPE),
    ([float("inf")], JSON_TYPE),
    ({"a": {1: 2}}, JSON_TYPE),
    (NAIVE, JSON_TYPE),
    (np.zeros(2), JSON_TYPE),
    ("", FILE),
    ("a\0b", FILE),
    (3, FILE),
    (b"a", FILE),
    ("https://me:hunter2@example.org/a", FILE),
    ("https://[me:hunter2@x/a", FILE),
    ({"digest": "abc", "suffix": ""}, FILE),
    ({"digest": DIGEST, "suffix": "/../x"}, FILE),
    ({"digest": DIGEST, "suffix": "", "name": "../x"}, FILE),
    ({"path": "a", "url": "b"}, FILE),
    ({"path": 3}, FILE),
]


@pytest.mark.parametrize(("value", "type_", "wanted"), FITTING)
def test_fitting(value, type_, wanted) -> None:
    found = convert(value, type_, "x")
    assert (found, type(found)) == (wanted, type(wanted))
    assert canonical.encode(convert(found, type_, "x")) == canonical.encode(found), "converting twice changes nothing"


@pytest.mark.parametrize(("value", "type_"), MISFITS)
def test_misfits_are_refused(value, type_, snapshot) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(value, type_, "x", Location("pipeline.py", 3))
    text = str(caught.value)
    assert caught.value.fix
    assert "hunter2" not in text
    assert text == snapshot


def test_texts_are_no_numbers_in_source() -> None:
    for value, type_ in (("3", INT), ("0.5", FLOAT), ("true", BOOL), ("[1]", INTS), ("{}", SPANS), ("null", MAYBE_INT)):
        with pytest.raises(ConfigError):
            convert(value, type_, "x", text=False)
    assert convert("2026-01-02", DATE, "x", text=False) == "2026-01-02"
    assert convert("a.parquet", FILE, "x", text=False) == {"path": "a.parquet"}


def test_a_path_object_of_any_kind(tmp_path: Path) -> None:
    class Located:
        def __fspath__(self) -> str:
            return os.fspath(tmp_path)

    assert convert(Located(), FILE, "x") == {"path": str(tmp_path)}


def test_the_element_at_fault_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        convert({"a": [[1], [2, "x"]]}, ParamType(kind="dict", items=(ParamType(kind="list", items=(INTS,)),)), "grid")
    assert caught.value.what == "the parameter 'grid['a'][1][1]' takes an int, not 'x'"


def test_none_can_be_typed_for_an_optional_text() -> None:
    (given,) = parameters(["x=null"]).values()
    maybe = ParamType(kind="str", optional=True)
    assert convert(given, maybe, "x", canonical=False) is None
    assert convert(given, STR, "x", canonical=False) == "null"
    assert convert("null", maybe, "x", canonical=False) == "null", "in Python it is a text"
    assert convert(parameters(['x="null"'])["x"], maybe, "x", canonical=False) == "null"
    assert type(convert(parameters(["x=a"])["x"], maybe, "x", canonical=False)) is str


def test_revived_values_are_fresh() -> None:
    value = {"a": [1, {"b": 2}]}
    found = revive(value, JSON_TYPE)
    assert found == value
    found["a"][1]["b"] = 3
    assert value == {"a": [1, {"b": 2}]}


def test_an_enum_revives_to_its_member() -> None:
    declared = ParamType(kind="str", choices=("red", "green"), enum="shop:Colour")
    assert revive("red", declared) == "red"
    assert revive("red", declared, {"shop:Colour": Colour}.__getitem__) is Colour.RED
    assert revive(None, declared, {"shop:Colour": Colour}.__getitem__) is None


def test_files_are_left_to_the_runtime() -> None:
    with pytest.raises(ValueError, match="runtime"):
        revive({"path": "a"}, FILE)
    assert revive(None, ParamType(kind="file", optional=True)) is None


ZONES = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-840, 840))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001
SPAN_LIMIT = timedelta(seconds=2**32)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SAMPLES = {
    "int": (INT, st.integers()),
    "float": (FLOAT, st.floats(allow_nan=False, allow_infinity=False)),
    "bool": (BOOL, st.booleans()),
    "str": (STR, st.text()),
    "datetime": (DATETIME, TIMES),
    "date": (DATE, st.dates()),
    "timedelta": (SPAN, st.timedeltas(-SPAN_LIMIT, SPAN_LIMIT)),
    "list": (ParamType(kind="list", items=(DATE,)), st.lists(st.dates())),
    "dict": (ParamType(kind="dict", items=(DATETIME,)), st.dictionaries(st.text(), TIMES)),
    "json": (JSON_TYPE, JSON_VALUES),
}


@pytest.mark.parametrize("kind", SAMPLES)
@given(data=st.data())
def test_round_trip(kind: str, data) -> None:
    type_, values = SAMPLES[kind]
    value = data.draw(values)
    found = convert(value, type_, "x")
    through_json = canonical_round_trip(found)
    assert through_json == found
    assert revive(through_json, type_) == value
    assert canonical.encode(convert(through_json, type_, "x")) == canonical.encode(found)


@given(st.integers())
def test_every_int_survives_as_text(value: int) -> None:
    assert convert(str(value), INT, "x") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_as_text(value: float) -> None:
    assert convert(repr(value), FLOAT, "x") == value


@given(st.timedeltas(-SPAN_LIMIT, SPAN_LIMIT))
def test_every_span_survives_as_text(value: timedelta) -> None:
    seconds = convert(value, SPAN, "x")
    assert convert(str(seconds), SPAN, "x") == seconds


@given(st.text() | JSON_VALUES)
def test_nothing_else_than_a_config_error(value) -> None:
    for type_ in (INT, FLOAT, BOOL, STR, DATETIME, DATE, SPAN, FILE, INTS, SPANS, COLOUR, LEVEL, MIXED, MAYBE_INT):
        try:
            found = convert(value, type_, "x")
        except ConfigError:
            continue
        assert canonical.encode(convert(canonical_round_trip(found), type_, "x")) == canonical.encode(found)


def canonical_round_trip(value):
    import msgspec

    return msgspec.json.decode(canonical.encode(value))


@pytest.mark.parametrize(
    ("text", "written"),
    [("1m", "PT1M"), ("1h30m", "PT1H30M"), ("1w2d", "P9D"), ("1.5s", "PT1.5S"), ("2d 3h", "P2DT3H")],
)
def test_a_span_as_timeouts_take_it_is_told_in_iso(text, written) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(text, SPAN, "x")
    assert caught.value.fix == f"write {written}, or the seconds"
    assert convert(written, SPAN, "x") is not None


def test_a_sequence_stays_what_it_was_given_as() -> None:
    numbers = ParamType(kind="list", items=(INT,), sequence="any")
    for value in ((1, 2, 3), [1, 2, 3], (), [(1)]):
        assert revive(convert(value, numbers, "x", canonical=False), numbers) == value
