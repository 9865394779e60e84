"""The suite a feature store must pass: no row learns of what came after it, and none is lost.

A plugin's test file is one class, whose fixture loads :data:`VIEWS` into the tool::

    class TestMyFeatureStore(FeatureStoreSuite):
        @pytest.fixture
        def feature_store(self, tmp_path):
            for view in VIEWS:
                write(tmp_path / view.name, view.columns)
            return MyFeatureStore(MyFeatureStore.Config(folder=str(tmp_path)))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, NamedTuple

import pytest

from turnout.base.errors import TurnoutError
from turnout.components.base import Component
from turnout.components.feature_store import FeatureStore
from turnout.testing.component import ComponentSuite


class View(NamedTuple):
    """A feature view to load: its name, the entity's column, the time's column, and all columns by name."""

    name: str
    entity: str
    timestamp: str
    columns: Mapping[str, Sequence[Any]]


def at(hour: int, day: int = 1) -> datetime:
    """A time in the days that the views cover."""
    return datetime(2026, 1, day, hour, tzinfo=timezone.utc)


VIEWS = (
    View(
        "weather",
        "airport",
        "since",
        {
            # not in the order of time, as files are in life
            "airport": ["JFK", "LGA", "JFK", "JFK", "LGA", "EWR"],
            "since": [at(6), at(7), at(12), at(0), at(19), at(23)],
            "wind": [6.0, 7.5, 12.0, 0.5, 19.0, 23.0],
            "sky": ["rain", "fog", "clear", "snow", "hail", "dust"],
        },
    ),
    View("traffic", "airport", "hour", {"airport": ["JFK", "JFK"], "hour": [at(5), at(11)], "planes": [50, 110]}),
)
"""The views that the fixture ``feature_store`` must hold."""

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
        joined = feature_store.historical(table, ["weather:wind"], entity="airport", timestamp="time")
        assert type(joined) is type(table)
        assert _names(joined) == ["flight", "airport", "time", "wind"]
        assert _values(joined, "flight") == columns["flight"]
        assert _values(joined, "airport") == columns["airport"]
        assert _values(joined, "wind") == [19.0, 0.5, 0.5, None, 23.0]
        assert _names(table) == ["flight", "airport", "time"], "the table that was given must stay as it is"

    def test_several_features_of_several_views(self, feature_store: FeatureStore[Any], kind_of_table: str) -> None:
        table = _table(kind_of_table, {"airport": ["JFK", "JFK", "LGA"], "time": [at(4), at(11), at(12)]})
        features = ["weather:sky", "traffic:planes", "weather:wind"]
        joined = feature_store.historical(table, features, entity="airport", timestamp="time")
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
        joined = feature_store.historical(table, ["weather:wind"], entity="airport", timestamp="time")
        assert (len(joined), list(joined.columns)) == (0, ["airport", "time", "wind"])

    def test_an_index_of_pandas_stays(self, feature_store: FeatureStore[Any]) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"airport": ["LGA", "JFK"], "time": [at(8), at(8)]}, index=[7, 3])
        joined = feature_store.historical(table, ["weather:wind"], entity="airport", timestamp="time")
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
            feature_store.historical(table, [feature], entity="airport", timestamp="time")
        with pytest.raises(TurnoutError, match=named):
            feature_store.online(table, [feature], entity="airport")

    def test_views_are_described(self, feature_store: FeatureStore[Any]) -> None:
        described = {view.name: view for view in feature_store.describe()}
        assert set(described) == {"weather", "traffic"}
        assert described["weather"].entities == ("airport",)
        assert described["weather"].timestamp == "since"
        assert set(described["weather"].features) == {"wind", "sky"}
        assert all(described["weather"].features.values())

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

    def _wind(
        self, store: FeatureStore[Any], kind: str, airports: Sequence[str], times: Sequence[datetime]
    ) -> list[Any]:
        table = _table(kind, {"airport": airports, "time": times})
        return _values(store.historical(table, ["weather:wind"], entity="airport", timestamp="time"), "wind")

    def _online(self, store: FeatureStore[Any], kind: str) -> list[Any]:
        airports = ["XYZ", "JFK", "JFK", "LGA", "EWR"]
        table = _table(kind, {"airport": airports})
        joined = store.online(table, ["weather:wind"], entity="airport")
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
