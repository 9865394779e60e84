"""The local feature store: joins as of a time, look-ups now, whatever the kind of table."""

from datetime import datetime, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turnout.base.errors import ConfigError, RunError
from turnout.builtin.no_feature_store import NoFeatureStore
from turnout.features import retrieval
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.store import LocalFeatureStore
from turnout.plugin_api import Config

WEATHER = pd.DataFrame(
    {
        "airport": ["JFK", "LGA", "JFK", "JFK", "EWR", None],
        "hour": pd.to_datetime(
            ["2026-01-01T00", "2026-01-01T01", "2026-01-01T02", "2026-01-01T02", None, "2026-01-01T00"], utc=True
        ),
        "wind": [10, 20, 30, 31, 40, 50],
        "sky": ["clear", "rain", "snow", "fog", "dust", "hail"],
    }
)


@pytest.fixture
def store(tmp_path):
    WEATHER.to_parquet(tmp_path / "weather.parquet")
    views = {"weather": ViewSettings(keys=("airport",), timestamp="hour")}
    return LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views=views))


def flights(times, airports=("JFK", "JFK", "LGA", "BOS", "JFK")):
    return pd.DataFrame(
        {"origin": list(airports), "at": pd.to_datetime(times, format="ISO8601"), "id": range(len(times))}
    )


TIMES = ["2026-01-01T03", "2026-01-01T01", "2026-01-01T00:59", "2026-01-01T09", "2025-12-31T23"]


def joined(store, table, features=("weather:wind", "weather:sky")):
    return retrieval.historical(store, table, features, entity="origin", timestamp="at")


def test_each_row_gets_the_newest_value_at_its_time_in_the_order_of_the_rows(store):
    table = flights(TIMES).set_index(pd.Index([9, 3, 3, 1, 0], name="row"))
    before = table.copy()
    result = joined(store, table)
    assert list(result.columns) == ["origin", "at", "id", "wind", "sky"]
    assert result["wind"].tolist()[:2] == [31, 10]
    assert result["wind"].isna().tolist() == [False, False, True, True, True]
    assert result["sky"].tolist()[:2] == ["fog", "clear"]
    pd.testing.assert_index_equal(result.index, table.index)
    pd.testing.assert_frame_equal(result[["origin", "at", "id"]], before)
    pd.testing.assert_frame_equal(table, before)


def test_a_value_counts_from_its_very_time_on(store):
    result = joined(store, flights(["2026-01-01T01", "2026-01-01T00:59:59.999999"], ["LGA", "LGA"]))
    assert result["wind"].isna().tolist() == [False, True]


def test_nothing_of_the_future_leaks_by_rounding(tmp_path):
    view = pa.table({"k": ["a"], "t": pa.array([1_000_000_500], pa.timestamp("ns")), "x": [1]})
    pa.parquet.write_table(view, tmp_path / "v.parquet")
    views = {"v": ViewSettings(keys=("k",), timestamp="t")}
    store = LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views=views))
    times = pa.array([1_000_000], pa.timestamp("us"))
    result = retrieval.historical(store, pa.table({"k": ["a"], "t": times}), ["v:x"], timestamp="t")
    assert result["x"].to_pylist() == [None]


def test_the_kind_of_table_that_is_given_comes_back(store):
    table = flights(TIMES)
    arrow = joined(store, pa.Table.from_pandas(table))
    polars = joined(store, pl.from_pandas(table))
    assert isinstance(arrow, pa.Table)
    assert isinstance(polars, pl.DataFrame)
    assert arrow["wind"].to_pylist() == polars["wind"].to_list() == [31, 10, None, None, None]
    assert str(arrow["wind"].type) == "int64"
    assert polars["wind"].dtype == pl.Int64
    assert arrow.column_names == polars.columns == ["origin", "at", "id", "wind", "sky"]


def test_zones_are_compared_as_times_and_none_is_utc(store):
    table = flights(["2026-01-01T01:00", "2026-01-01T00:30"], ["LGA", "LGA"])
    athens = table.assign(at=table["at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Athens"))
    texts = table.assign(at=["2026-01-01T03:00+02:00", "2026-01-01 00:30"])
    for one in (table, athens, texts):
        assert joined(store, one)["wind"].isna().tolist() == [False, True]


def test_null_times_and_null_keys_get_null(store):
    result = joined(store, flights(["2026-01-01T09", None], [None, "JFK"]))
    assert result["wind"].isna().all()


def test_an_empty_table_stays_empty(store):
    result = joined(store, flights([], []).astype({"origin": str, "at": "datetime64[us]"}))
    assert len(result) == 0
    assert "wind" in result


def test_categories_match_texts(store):
    table = flights(TIMES).astype({"origin": "category"})
    result = joined(store, table)
    assert result["wind"].tolist()[:2] == [31, 10]
    assert result["origin"].dtype == "category"


def test_an_entity_of_several_columns(tmp_path):
    view = pd.DataFrame(
        {"a": [1, 1, 2], "b": ["x", "y", "x"], "t": pd.to_datetime(["2026-01-01"] * 3), "v": [1.5, 2.5, 3.5]}
    )
    view.to_parquet(tmp_path / "custom.parquet")
    views = {"pairs": ViewSettings(keys=("a", "b"), timestamp="t", source="custom.parquet")}
    store = LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views=views))
    table = pd.DataFrame(
        {"a": np.array([2, 1, 1, 3], dtype="int32"), "b": ["x", "y", "z", "x"], "t": pd.to_datetime(["2026-02-01"] * 4)}
    )
    result = retrieval.historical(store, table, ["pairs:v"], entity="a", timestamp="t")
    assert result["v"].tolist()[:2] == [3.5, 2.5]
    assert result["v"].isna().tolist()[2:] == [True, True]
    with pytest.raises(ConfigError, match="of which 'c' is none"):
        retrieval.historical(store, table.rename(columns={"a": "c"}), ["pairs:v"], entity="c", timestamp="t")


def online(store, table):
    return retrieval.online(store, table, ["weather:wind"], entity="origin")["wind"].to_pylist()


def test_online_reads_what_was_materialized(store):
    table = pa.table({"origin": ["LGA", "JFK", "BOS", None]})
    with pytest.raises(RunError, match="run `turnout features materialize --view weather`"):
        online(store, table)
    store.materialize(datetime(2026, 1, 1, 1, tzinfo=timezone.utc))
    assert online(store, table) == [20, 10, None, None]
    store.materialize(datetime(2026, 1, 2))  # noqa: DTZ001 -- a naive time is UTC
    assert online(store, table) == [20, 31, None, None]


def test_the_views_are_described(store):
    (view,) = store.describe()
    assert (view.name, view.keys, view.timestamp) == ("weather", {"airport": "string"}, "hour")
    assert view.features["wind"] == "int64"
    assert set(view.features) == {"wind", "sky"}


def message(call):
    with pytest.raises((ConfigError, RunError)) as caught:
        call()
    return str(caught.value)


def test_errors_say_what_to_do(store, tmp_path, snapshot):
    table = flights(TIMES)
    by_number = table.assign(origin=range(5))
    texts = [
        message(lambda: joined(store, table, ["wind"])),
        message(lambda: joined(store, table, ["wether:wind"])),
        message(lambda: joined(store, table, ["weather:wnid"])),
        message(lambda: joined(store, table, ["weather:wind", "weather:wind"])),
        message(lambda: joined(store, table.assign(wind=1))),
        message(lambda: joined(store, table.drop(columns="origin"))),
        message(lambda: joined(store, table.assign(at=1))),
        message(lambda: joined(store, table.assign(at="soon"))),
        message(lambda: joined(store, by_number)),
        message(lambda: joined(store, [1, 2])),
    ]
    (tmp_path / "weather.parquet").write_bytes(b"PAR1 or not")
    texts.append(message(lambda: joined(store, table)))
    (tmp_path / "weather.parquet").unlink()
    texts.append(message(lambda: joined(store, table)))
    assert [text.replace(str(tmp_path), "<tmp>") for text in texts] == snapshot


@pytest.mark.parametrize("file", ["/etc/x.parquet", "../x.parquet"])
def test_a_view_stays_in_its_folder(file):
    view = ViewSettings(keys=("k",), timestamp="t", source=file)
    with pytest.raises(ValueError, match="does not name a file in the folder"):
        LocalFeatureSettings(folder="f", views={"v": view})


def test_no_feature_store_says_what_to_add():
    store = NoFeatureStore(Config())
    text = message(lambda: store.historical(None, ["weather:wind"], keys={}, timestamp="t"))
    assert text == (
        "the features weather:wind are asked for, but the stack has no feature store\n"
        "  fix: choose one in the stack file, for example `feature_store: {type: local, folder: features, views: {…}}`"
    )
    for call in (lambda: store.online(None, [], keys={}), lambda: store.materialize(None), store.describe):
        assert "has no feature store" in message(call)


keys = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
moments = st.one_of(st.none(), st.integers(0, 20))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    view=st.lists(st.tuples(keys, moments, st.one_of(st.none(), st.integers(0, 9))), min_size=1, max_size=15),
    asked=st.lists(st.tuples(keys, moments), max_size=15),
)
def test_the_join_is_the_obvious_one(tmp_path, view, asked):
    """Against a loop over all rows."""
    table = pa.table(
        {
            "k": pa.array([row[0] for row in view], pa.string()),
            "t": pa.array([row[1] for row in view], pa.timestamp("s", "UTC")),
            "x": pa.array([row[2] for row in view], pa.int32()),
        }
    )
    pa.parquet.write_table(table, tmp_path / "v.parquet")
    views = {"v": ViewSettings(keys=("k",), timestamp="t")}
    store = LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views=views))
    entities = pa.table(
        {
            "k": pa.array([row[0] for row in asked], pa.string()),
            "t": pa.array([row[1] and row[1] * 1000 for row in asked], pa.timestamp("ms", "UTC")),
        }
    )
    expected = []
    for key, time in asked:
        known = [row for row in view if None not in (key, time, row[1]) and row[0] == key and row[1] <= time]
        newest = [row for row in known if row[1] == max(other[1] for other in known)]
        expected.append(newest[-1][2] if newest else None)
    result = retrieval.historical(store, entities, ["v:x"], timestamp="t")
    assert result["x"].to_pylist() == expected
    assert result.select(["k", "t"]).equals(entities)
