"""Profiles of tables: what a record says of a table without its rows."""

import datetime as dt
import json
import math
from decimal import Decimal

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from projects import call, write_project

from turnout.base import canonical
from turnout.materializers import profile
from turnout.materializers.table import Table
from turnout.model.profile import ColumnProfile, Profile

ROWS = 120_001
MIDDLE = profile.PROBABILITIES.index(0.5)


def columns(found: Profile) -> dict[str, ColumnProfile]:
    return {column.name: column for column in found.columns}


def test_numbers_texts_bools_and_times_are_described(tmp_path):
    frame = pd.DataFrame(
        {
            "number": [1.0, 2.0, 3.0, 4.0, None],
            "count": [5, 1, 4, 2, 3],
            "name": ["b", "a", "b", None, "c"],
            "kind": pd.Categorical(["x", None, "x", "y", "x"]),
            "good": [True, False, True, True, False],
            "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-02", None, "2026-01-05"]),
        }
    )
    found = Table().save(frame, tmp_path)
    by_name = columns(found)
    assert (found.rows, found.sampled, found.omitted) == (5, None, 0)
    number = by_name["number"]
    assert (number.nulls, number.minimum, number.maximum, number.quantiles[MIDDLE]) == (1, 1.0, 4.0, 2.0)
    assert by_name["count"].quantiles[MIDDLE] == 3
    assert by_name["name"].top == (("b", 2), ("a", 1), ("c", 1))
    assert (by_name["name"].nulls, by_name["name"].distinct) == (1, 3)
    assert by_name["kind"].top == (("x", 3), ("y", 1))
    assert by_name["good"].top == ((True, 3), (False, 2))
    assert (by_name["time"].minimum[:10], by_name["time"].maximum[:10]) == ("2026-01-01", "2026-01-05")
    assert by_name["time"].quantiles[MIDDLE][:10] == "2026-01-02"
    assert msgspec.json.decode(canonical.encode(found), type=Profile) == found


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_a_large_table_is_sampled_by_stride_its_counts_and_ends_are_of_all_rows(kind, tmp_path):
    numbers = np.arange(ROWS, dtype="float64")
    numbers[7] = np.nan
    numbers[1] = -5.0  # between two rows of the sample
    made = pd.DataFrame({"number": numbers, "name": np.where(np.arange(ROWS) % 3 == 0, "third", "other")})
    table = pa.Table.from_pandas(made)
    value = {"pandas": made, "polars": pl.from_arrow(table), "arrow": table}[kind]
    found = Table().save(value, tmp_path)
    number, name = found.columns
    assert found.rows == ROWS
    assert found.sampled == math.ceil(ROWS / 3)
    assert (number.nulls, number.minimum, number.maximum) == (1, -5.0, ROWS - 1)
    assert abs(number.quantiles[MIDDLE] - ROWS / 2) < ROWS * 0.001
    assert name.top[0] == ("third", found.sampled)  # a stride of three meets every third row
    assert found == Table().save(value, _next(tmp_path))


def test_the_sample_of_many_chunks_is_that_of_one():
    one = pa.table({"number": pa.chunked_array([pa.array(range(ROWS))])})
    many = pa.table(
        {"number": pa.chunked_array([pa.array(range(n, min(n + 7001, ROWS))) for n in range(0, ROWS, 7001)])}
    )
    assert profile.of_arrow(many) == profile.of_arrow(one)


def test_a_profile_is_bounded_and_leaves_out_what_it_cannot_tell():
    wide = profile.of_arrow(pa.table({f"c{n}": [1] for n in range(profile.COLUMNS + 7)}))
    assert (len(wide.columns), wide.omitted) == (profile.COLUMNS, 7)
    long = profile.of_arrow(pa.table({"n" * 500: ["v" * 5000, "w"]})).columns[0]
    assert len(long.name) == profile.LENGTH
    assert {len(text) for text, _ in long.top} == {profile.LENGTH, 1}
    many = profile.of_arrow(pa.table({"id": [f"id {n:05}" for n in range(2000)]})).columns[0]
    assert (many.distinct, len(many.top)) == (2000, profile.TOP)
    assert many.top[0] == ("id 00000", 1)
    odd = pa.table(
        {
            "nothing": pa.nulls(2),
            "list": [[1], [2]],
            "bytes": [b"a", b"b"],
            "span": pa.array([1, 2], pa.duration("us")),
            "exact": [Decimal("1.5"), Decimal("2.5")],
            "huge": pa.array([2**64 - 1, 1], pa.uint64()),
            "inf": [math.inf, math.nan],
            "hour": [dt.time(1), dt.time(2)],
            "empty": pa.array([None, None], pa.float64()),
        }
    )
    found = columns(profile.of_arrow(odd))
    assert found["nothing"] == ColumnProfile(name="nothing", type="null", nulls=2)
    assert found["list"].quantiles == found["bytes"].top == ()
    assert (found["span"].minimum, found["span"].maximum) == (1, 2)
    assert found["exact"].maximum == 2.5
    assert found["huge"].maximum == 2**64 - 1
    assert found["inf"].maximum == "inf"
    assert found["hour"].minimum == "01:00:00"
    assert (found["empty"].nulls, found["empty"].minimum, found["empty"].quantiles) == (2, None, ())
    assert profile.of_arrow(odd.slice(0, 0)).rows == 0


FRAMES = """
import os
import pandas as pd
from turnout import log_table

def frame():
    return pd.DataFrame({"word": ["some", "words"]})

def frames(count):
    return [pd.DataFrame({"n": [n]}) for n in range(count)]

def spill():
    return pd.DataFrame({"word": [os.environ["TOKEN"], "words"]})

def logged():
    log_table("kept", pd.DataFrame({"n": [1, 2]}))
"""


def _record(bench, name, **fields):
    bench.write(FRAMES)
    bench.make(bench.step(name, **fields))
    assert bench.call(name).state == "succeeded"
    return bench.record(name)


def test_a_record_holds_the_profile_which_does_not_change_the_digest(bench):
    shown = _record(bench, "frame").outputs["output"].artifact
    assert shown.profile.columns[0].top == (("some", 1), ("words", 1))
    artifacts = bench.open().artifacts
    assert artifacts.save_value(artifacts.load(shown)) == shown
    bench.make(bench.step("frame", profile=False))
    bench.call("frame", run="hidden")
    hidden = bench.record("frame", run="hidden").outputs["output"].artifact
    assert hidden == msgspec.structs.replace(shown, profile=None)


def test_a_step_may_say_that_its_tables_are_not_described(bench):
    bench.write(FRAMES)
    bench.make(bench.step("frame", profile=False), bench.step("logged", profile=False))
    bench.run()
    assert bench.record("frame").outputs["output"].artifact.profile is None
    assert bench.record("logged").logged.artifacts["kept"].profile is None


def test_what_a_step_logs_is_described_too(bench):
    assert _record(bench, "logged").logged.artifacts["kept"].profile.rows == 2


def test_a_long_list_of_tables_has_the_profiles_of_its_first_elements(bench):
    bench.write(FRAMES)
    bench.make(bench.step("frames", count=25, lists=True))
    bench.call("frames")
    elements = bench.record("frames").outputs["output"].elements
    assert [element.profile is not None for element in elements] == [True] * 20 + [False] * 5


def test_a_table_that_holds_a_secret_is_refused(bench, monkeypatch):
    monkeypatch.setenv("VAULT", "a-rather-long-secret")
    bench.write(FRAMES)
    bench.make(bench.step("spill", secrets={"TOKEN": "VAULT"}))
    assert bench.call("spill").exit_code == 2
    assert bench.record("spill") is None
    assert b"a-rather-long-secret" not in bench.everything()


PIPELINE = """
import pandas as pd
from turnout import File, pipeline, step

@step
def rooms(path: File) -> pd.DataFrame:
    return pd.read_csv(path)

@step
def warm(rooms: pd.DataFrame) -> pd.DataFrame:
    return rooms[rooms.celsius > 20]

@pipeline
def house(path: File = "rooms.csv"):
    warm(rooms(path))
"""


def test_the_command_shows_it_and_a_cached_record_has_it_where_the_step_allows(tmp_path):
    files = {
        "house.py": PIPELINE,
        "rooms.csv": "room,celsius\nattic,24.5\ncellar,11\nattic,26.5\n",
        "discreet.yaml": "extends: local\nsteps: {warm: {profile: false}}\n",
    }
    write_project(tmp_path, files, name="house")

    def told(*words: str) -> str:
        return call(tmp_path, *words, code=0).stdout

    told("run", "house.py")
    assert "rows          3" in told("artifacts", "show", "latest", "rooms")
    told("run", "house.py", "--stack", "discreet.yaml")
    shown = {step: json.loads(told("artifacts", "show", "latest", step, "--json"))[0] for step in ("rooms", "warm")}
    room, celsius = shown["rooms"]["profile"]["columns"]
    assert room["top"] == [["attic", 2], ["cellar", 1]]
    assert (celsius["minimum"], celsius["maximum"]) == (11.0, 26.5)
    assert shown["warm"]["profile"] is None
    states = {one["step"]: one["cached_from"] for one in json.loads(told("runs", "show", "latest", "--json"))["steps"]}
    assert all(states.values())


def _next(folder):
    other = folder / "again"
    other.mkdir()
    return other


class Panics(pl.Series):
    """A column of which no library can tell anything."""

    def to_arrow(self, **_: object) -> pa.Array:
        raise pl.exceptions.PanicException("no such type")


def test_a_column_that_cannot_be_profiled_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"wide": pl.Series([1 << 100, None], dtype=pl.Int128), "a": [1, 2]})
    wide, narrow = profile.of_polars(frame).columns
    assert (wide.name, wide.type, narrow.maximum) == ("wide", "Int128", 2)
    monkeypatch.setattr(pl.DataFrame, "to_series", lambda self, n: Panics([n]))
    assert [column.name for column in profile.of_polars(frame).columns] == ["wide", "a"]
