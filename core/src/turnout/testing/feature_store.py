"""The suite a feature store must pass: one meaning of features, whatever keeps them.

A plugin's test file is one class, whose fixture loads :data:`VIEWS` into the tool::

    class TestMyFeatureStore(FeatureStoreSuite):
        xfails = {"test_a_case[ttl_online]": "MyTool keeps no times online"}

        @pytest.fixture
        def feature_store(self, tmp_path):
            for view in VIEWS:
                write(tmp_path / view.name, view.columns)
            return MyFeatureStore(MyFeatureStore.Config(folder=str(tmp_path)))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from turnout.base.errors import TurnoutError
from turnout.components.base import Component
from turnout.components.feature_store import FeatureStore
from turnout.features import retrieval
from turnout.testing.component import ComponentSuite
from turnout.testing.feature_cases import CASES, DAY, VIEWS, View, at

__all__ = ["VIEWS", "FeatureStoreSuite", "View", "at"]

KINDS = ("pandas", "polars", "pyarrow")


class FeatureStoreSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixture ``feature_store``."""

    kind: ClassVar[str] = "feature_store"

    @pytest.fixture
    def feature_store(self) -> FeatureStore[Any]:
        """A feature store that holds :data:`VIEWS`, nothing of them online yet."""
        raise NotImplementedError("give the suite a fixture 'feature_store'")

    @pytest.fixture
    def component(self, feature_store: FeatureStore[Any]) -> Component[Any]:
        """The feature store."""
        return feature_store

    @pytest.fixture(params=KINDS)
    def kind_of_table(self, request: pytest.FixtureRequest) -> str:
        """Each library of tables that is installed."""
        pytest.importorskip(request.param)
        return str(request.param)

    @pytest.mark.parametrize("case", CASES)
    def test_a_case(self, feature_store: FeatureStore[Any], case: str) -> None:
        feature, columns, expected, keys, known_at, until = CASES[case]
        name, table = feature.partition(":")[2], _table(_any_kind(), columns)
        if until is None:
            result = retrieval.historical(
                feature_store, table, [feature], keys=keys, timestamp="time", known_at=known_at
            )
        else:
            feature_store.materialize(until)
            result = retrieval.online(feature_store, table, [feature], keys=keys)
        assert _values(result, name) == list(expected)

    def test_a_tie_without_a_created_time_gives_one_of_its_rows(self, feature_store: FeatureStore[Any]) -> None:
        table = _table(_any_kind(), {"code": ["a", "a"], "time": [at(6), at(9)]})
        first, second = _values(retrieval.historical(feature_store, table, ["ties:tied"], timestamp="time"), "tied")
        assert first == second
        assert first in {1, 2, 3}

    def test_known_at_is_refused_for_a_view_that_cannot(self, feature_store: FeatureStore[Any]) -> None:
        table = _table(_any_kind(), {"airport": ["JFK"], "time": [at(8)]})
        with pytest.raises(TurnoutError, match="known"):
            retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time", known_at=True)

    def test_the_newest_row_at_or_before_the_time_counts(
        self, feature_store: FeatureStore[Any], kind_of_table: str
    ) -> None:
        times = [at(11), at(12), at(13), at(6), at(5)]
        found = self._wind(feature_store, kind_of_table, ["JFK"] * 5, times)
        assert found == [6.0, 12.0, 12.0, 6.0, 0.5]

    def test_a_later_row_never_leaks(self, feature_store: FeatureStore[Any]) -> None:
        kind = _any_kind()
        for hour in range(24):
            expected = max((h, w) for h, w in ((0, 0.5), (6, 6.0), (12, 12.0)) if h <= hour)[1]
            just_before = at(hour) - timedelta(seconds=1)
            earlier = [(h, w) for h, w in ((0, 0.5), (6, 6.0), (12, 12.0)) if at(h) <= just_before]
            found = self._wind(feature_store, kind, ["JFK", "JFK"], [at(hour), just_before])
            assert found == [expected, max(earlier)[1] if earlier else None]

    def test_what_is_not_known_yet_is_null(self, feature_store: FeatureStore[Any], kind_of_table: str) -> None:
        found = self._wind(feature_store, kind_of_table, ["LGA", "XYZ", "JFK", "EWR"], [at(6), at(12), at(12), at(22)])
        assert found == [None, None, 12.0, None]

    def test_all_rows_stay_in_their_order(self, feature_store: FeatureStore[Any], kind_of_table: str) -> None:
        columns: dict[str, list[Any]] = {
            "flight": [5, 3, 3, 9, 1],
            "airport": ["LGA", "JFK", "JFK", "XYZ", "EWR"],
            "time": [at(20), at(1), at(1), at(1), at(23)],
        }
        table = _table(kind_of_table, columns)
        joined = retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time")
        assert type(joined) is type(table)
        assert _names(joined) == ["flight", "airport", "time", "wind"]
        assert _values(joined, "flight") == columns["flight"]
        assert _values(joined, "airport") == columns["airport"]
        assert _values(joined, "wind") == [19.0, 0.5, 0.5, None, 23.0]
        assert _names(table) == ["flight", "airport", "time"], "the table that was given must stay as it is"

    def test_several_features_of_several_views(self, feature_store: FeatureStore[Any], kind_of_table: str) -> None:
        table = _table(kind_of_table, {"airport": ["JFK", "JFK", "LGA"], "time": [at(4), at(11), at(12)]})
        features = ["weather:sky", "traffic:planes", "weather:wind"]
        joined = retrieval.historical(feature_store, table, features, timestamp="time")
        assert _names(joined) == ["airport", "time", "sky", "planes", "wind"]
        assert _values(joined, "sky") == ["snow", "rain", "fog"]
        assert _values(joined, "planes") == [None, 110, None]
        assert _values(joined, "wind") == [0.5, 6.0, 7.5]

    def test_the_time_is_an_instant_whatever_its_zone(self, feature_store: FeatureStore[Any]) -> None:
        east = timezone(timedelta(hours=5))
        times = [at(12).astimezone(east), (at(12) - timedelta(seconds=1)).astimezone(east)]
        assert self._wind(feature_store, _any_kind(), ["JFK", "JFK"], times) == [12.0, 6.0]

    def test_no_rows_give_no_rows(self, feature_store: FeatureStore[Any]) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(
            {"airport": pandas.Series([], dtype="object"), "time": pandas.Series([], dtype="datetime64[ns, UTC]")}
        )
        joined = retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time")
        assert (len(joined), list(joined.columns)) == (0, ["airport", "time", "wind"])

    def test_an_index_of_pandas_stays(self, feature_store: FeatureStore[Any]) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"airport": ["LGA", "JFK"], "time": [at(8), at(8)]}, index=[7, 3])
        joined = retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time")
        assert list(joined.index) == [7, 3]
        assert list(joined["wind"]) == [7.5, 6.0]

    @pytest.mark.parametrize(
        ("feature", "named"), [("weather:winds", "winds"), ("whether:wind", "whether"), ("wind", "wind")]
    )
    def test_a_feature_there_is_not_is_refused(
        self, feature_store: FeatureStore[Any], feature: str, named: str
    ) -> None:
        feature_store.materialize(at(23))
        table = _table(_any_kind(), {"airport": ["JFK"], "time": [at(8)]})
        with pytest.raises(TurnoutError, match=named):
            retrieval.historical(feature_store, table, [feature], timestamp="time")
        with pytest.raises(TurnoutError, match=named):
            retrieval.online(feature_store, table, [feature])

    def test_a_key_may_have_another_name_in_the_table(self, feature_store: FeatureStore[Any]) -> None:
        table = _table(_any_kind(), {"origin": ["JFK", "LGA"], "time": [at(8), at(8)]})
        for named in ({"entity": "origin"}, {"keys": {"airport": "origin"}}):
            joined = retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time", **named)
            assert _values(joined, "wind") == [6.0, 7.5]

    def test_a_key_that_can_never_match_is_refused(self, feature_store: FeatureStore[Any]) -> None:
        table = _table(_any_kind(), {"airport": [1], "time": [at(8)]})
        with pytest.raises(TurnoutError, match="never matches"):
            retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time")

    def test_a_name_that_is_taken_is_refused(self, feature_store: FeatureStore[Any]) -> None:
        table = _table(_any_kind(), {"airport": ["JFK"], "time": [at(8)], "wind": [1.0]})
        with pytest.raises(TurnoutError, match="already has the column wind"):
            retrieval.historical(feature_store, table, ["weather:wind"], timestamp="time")

    def test_views_are_described(self, feature_store: FeatureStore[Any]) -> None:
        described = {view.name: view for view in feature_store.describe()}
        assert set(described) >= {view.name for view in VIEWS}
        for view in VIEWS:
            one = described[view.name]
            assert one.timestamp == view.timestamp
            assert one.created == view.created
            assert one.ttl == (None if view.ttl is None else view.ttl.total_seconds())
            assert set(one.features) == set(view.features)
            assert set(one.keys) == set(view.keys)
            assert one.materialized_until is None
            assert one.problem == ""
        assert described["routes"].keys == {"start": "string", "number": "int64"}
        assert described["weather"].features == {"wind": "double", "sky": "string"}

    def test_a_version_is_the_same_until_something_changes(self, feature_store: FeatureStore[Any]) -> None:
        version = feature_store.version(["weather:wind"])
        assert version
        assert type(feature_store)(feature_store.config).version(["weather:wind"]) == version
        assert feature_store.version(["fading:fresh"]) != version

    def test_a_service_there_is_not_is_refused(self, feature_store: FeatureStore[Any]) -> None:
        with pytest.raises(TurnoutError, match="no_such_service"):
            feature_store.resolve("no_such_service")

    def test_online_gives_the_newest_that_was_materialized(
        self, feature_store: FeatureStore[Any], kind_of_table: str
    ) -> None:
        feature_store.materialize(at(11))
        assert self._online(feature_store, kind_of_table) == [None, 6.0, 6.0, 7.5, None]
        feature_store.materialize(at(0, day=2))
        feature_store.materialize(at(0, day=2))
        assert self._online(feature_store, kind_of_table) == [None, 12.0, 12.0, 19.0, 23.0]
        assert self._online(type(feature_store)(feature_store.config), kind_of_table)[1] == 12.0

    def test_online_leaves_history_as_it_is(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(11))
        assert self._wind(feature_store, _any_kind(), ["JFK", "LGA"], [at(13), at(20)]) == [12.0, 19.0]

    def test_what_was_never_materialized_is_refused(self, feature_store: FeatureStore[Any]) -> None:
        with pytest.raises(TurnoutError, match="never materialized"):
            retrieval.online(feature_store, _table(_any_kind(), {"airport": ["JFK"]}), ["weather:wind"])
        feature_store.materialize(at(11), views=["traffic"])
        with pytest.raises(TurnoutError, match="never materialized"):
            retrieval.online(feature_store, _table(_any_kind(), {"airport": ["JFK"]}), ["weather:wind"])

    def test_materializing_says_what_it_came_to(self, feature_store: FeatureStore[Any]) -> None:
        told: list[tuple[str, float]] = []
        (one,) = feature_store.materialize(at(11), views=["weather"], progress=lambda *news: told.append(news))
        assert (one.view, one.until, one.note) == ("weather", at(11), "")
        assert one.rows in {2, None}
        assert told[-1] == ("weather", 1.0)
        described = {view.name: view.materialized_until for view in feature_store.describe()}
        assert described["weather"] == at(11)
        assert described["traffic"] is None

    def test_an_older_window_changes_nothing_and_says_so(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(23))
        done = feature_store.materialize(at(11))
        assert all(one.note for one in done)
        assert self._online(feature_store, _any_kind())[1] == 12.0
        described = {view.name: view.materialized_until for view in feature_store.describe()}
        assert described["weather"] == at(23)

    def test_an_older_window_that_is_forced_keeps_what_is_newer(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(23))
        (one,) = feature_store.materialize(at(11), since=at(5), views=["weather"], force=True)
        assert one.note == ""
        assert self._online(feature_store, _any_kind()) == [None, 12.0, 12.0, 19.0, 23.0]

    def test_nothing_to_write_is_no_failure(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(11), views=["weather"])
        (one,) = feature_store.materialize(at(11.5), views=["weather"])
        assert one.rows in {0, None}
        assert self._online(feature_store, _any_kind())[1] == 6.0

    def test_a_window_goes_on_where_the_last_one_ended(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(11), views=["weather"])
        (one,) = feature_store.materialize(at(12), views=["weather"])
        assert one.rows in {1, None}
        assert self._online(feature_store, _any_kind()) == [None, 12.0, 12.0, 7.5, None]

    def test_a_pushed_row_counts_at_once(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(at(11))
        self._push(feature_store, at(20), 20.0)
        assert self._online(feature_store, _any_kind()) == [None, 20.0, 20.0, 7.5, None]

    def test_an_older_push_keeps_what_is_newer(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(DAY)
        self._push(feature_store, at(3), 3.0)
        assert self._online(feature_store, _any_kind()) == [None, 12.0, 12.0, 19.0, 23.0]

    def test_a_window_keeps_what_was_pushed_later(self, feature_store: FeatureStore[Any]) -> None:
        self._push(feature_store, at(20), 20.0)
        feature_store.materialize(at(13))
        assert self._online(feature_store, _any_kind())[1] == 20.0

    def test_several_threads_may_look_up_at_once(self, feature_store: FeatureStore[Any]) -> None:
        feature_store.materialize(DAY)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: self._online(feature_store, "pyarrow"), range(32)))
        assert found == [[None, 12.0, 12.0, 19.0, 23.0]] * 32

    def _push(self, store: FeatureStore[Any], since: datetime, wind: float) -> None:
        rows: dict[str, list[Any]] = {"airport": ["JFK"], "since": [since], "wind": [wind], "sky": ["new"]}
        store.push("weather", _table("pyarrow", rows))

    def _wind(
        self, store: FeatureStore[Any], kind: str, airports: Sequence[str], times: Sequence[datetime]
    ) -> list[Any]:
        table = _table(kind, {"airport": airports, "time": times})
        return _values(retrieval.historical(store, table, ["weather:wind"], timestamp="time"), "wind")

    def _online(self, store: FeatureStore[Any], kind: str) -> list[Any]:
        airports = ["XYZ", "JFK", "JFK", "LGA", "EWR"]
        table = _table(kind, {"airport": airports})
        joined = retrieval.online(store, table, ["weather:wind"])
        assert type(joined) is type(table)
        assert _values(joined, "airport") == airports
        return _values(joined, "wind")


def _any_kind() -> str:
    for kind in KINDS:
        try:
            __import__(kind)
        except ImportError:
            continue
        return kind
    pytest.skip("no library of tables is installed")


def _table(kind: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    if kind == "pandas":
        import pandas as pd

        return pd.DataFrame(columns)
    if kind == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    import pyarrow as pa

    return pa.table(dict(columns))


def _names(table: Any) -> list[str]:
    return list(table.column_names if hasattr(table, "column_names") else table.columns)


def _values(table: Any, name: str) -> list[Any]:
    """The values of a column; null for what any library calls missing."""
    column = table[name]
    values = column.to_pylist() if hasattr(column, "to_pylist") else column.to_list()
    missing = ("nan", "NaT", "<NA>", "None")
    return [None if str(value) in missing else value for value in values]
