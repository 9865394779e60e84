"""Frames that Hypothesis draws, over types of columns and kinds of indexes: saved and equal, or refused in one line."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.extra import pandas as hpd
from pandas.testing import assert_frame_equal

from turnout.artifacts.artifacts import Artifacts
from turnout.base.errors import ArtifactError
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.stores.local import LocalConfig, LocalStore

MOMENTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2100, 1, 1))  # noqa: DTZ001
OBJECTS = st.one_of(
    st.lists(st.none() | st.text(max_size=3), min_size=3, max_size=3),
    st.lists(st.none() | st.integers(), min_size=3, max_size=3),
    st.lists(st.none() | st.decimals().filter(lambda item: not item.is_snan()), min_size=3, max_size=3),
    st.lists(st.times(timezones=st.none() | st.just(dt.timezone.utc)), min_size=3, max_size=3),
    st.lists(st.dates(), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.floats(), st.booleans(), st.binary(max_size=2), MOMENTS), min_size=3, max_size=3),
)
EXTENSIONS = st.one_of(
    st.lists(st.none() | st.integers(-100, 100), min_size=3, max_size=3).map(lambda v: pd.array(v, dtype="Int8")),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3).map(lambda v: pd.array(v, dtype="boolean")),
    st.lists(st.none() | st.sampled_from("xyz"), min_size=3, max_size=3).map(pd.Categorical),
    st.lists(MOMENTS, min_size=3, max_size=3).map(lambda v: pd.PeriodIndex(v, freq="M").array),
    st.lists(MOMENTS, min_size=3, max_size=3).map(lambda v: pd.DatetimeIndex(v).tz_localize("UTC").array),
    st.lists(st.integers(0, 9), min_size=3, max_size=3).map(lambda v: pd.arrays.IntervalArray.from_arrays(v, [9] * 3)),
    st.lists(st.integers(1, 9), min_size=3, max_size=3).map(lambda v: pd.cut(v, [0, 3, 9])),
)
NUMBERS = st.sampled_from(["bool", "i1", "u2", "i8", "f4", "f8", "M8[ns]", "m8[ns]", "M8[s]", "c16"]).flatmap(
    lambda kind: hnp.arrays(kind, 3)
)


def as_objects(items: list[Any]) -> pd.Series:
    column = np.empty(3, dtype=object)
    column[:] = items
    return pd.Series(column, dtype=object)


COLUMNS = st.one_of(NUMBERS.map(pd.Series), EXTENSIONS.map(pd.Series), OBJECTS.map(as_objects))
INDEXES = st.one_of(
    st.just(pd.RangeIndex(3)),
    hpd.indexes(dtype="i8", min_size=3, max_size=3, unique=False),
    hpd.indexes(dtype="f8", min_size=3, max_size=3, unique=False),
    COLUMNS.map(lambda column: pd.Index(column, name="key")),
    st.tuples(COLUMNS, COLUMNS).map(lambda columns: pd.MultiIndex.from_arrays([list(c) for c in columns])),
    st.sampled_from(["D", "MS", "h", "2W-TUE", pd.DateOffset(months=1)]).map(
        lambda freq: pd.date_range("2026", periods=3, freq=freq)
    ),
)
LABELS = st.one_of(
    st.lists(st.text(max_size=3), min_size=2, max_size=2),
    st.lists(st.integers(0, 2), min_size=2, max_size=2),
    st.lists(st.floats(), min_size=2, max_size=2),
    st.sampled_from([pd.period_range("2026", periods=2, freq="M"), pd.interval_range(0, 2), [("a", 1), ("a", 2)]]),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    frame = pd.concat([draw(COLUMNS), draw(COLUMNS)], axis=1)
    frame.index = draw(INDEXES)
    frame.columns = draw(LABELS)
    return frame


def simple_frames() -> st.SearchStrategy[pd.DataFrame]:
    columns = [hpd.column("a", dtype=float), hpd.column("b", dtype="M8[ns]"), hpd.column("c", elements=st.text())]
    return hpd.data_frames(columns, index=hpd.range_indexes(max_size=4))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("drawn")
    return Artifacts(LocalStore(LocalConfig(root=str(folder / "store"))), Materializers(BUILTIN), folder / "work")


def exact(column: pd.Series) -> list[str]:
    return [f"{type(item).__name__} {item!r}" for item in column.array]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(frame=st.one_of(frames(), simple_frames()))
@pytest.mark.filterwarnings("ignore")
def test_a_drawn_frame_is_read_as_it_was_saved(frame: pd.DataFrame, artifacts: Artifacts) -> None:
    before = frame.copy(deep=True)
    refused = None
    try:
        saved = artifacts.save_value(frame)
    except ArtifactError as error:
        refused = error.what
    if refused is not None:
        assert refused.startswith("output 'value'")
        assert "\n" not in refused
        return
    back = artifacts.load(saved)
    assert_frame_equal(back, frame, check_freq=True)
    assert_frame_equal(frame, before)
    for n in range(frame.shape[1]):
        assert exact(back.iloc[:, n]) == exact(frame.iloc[:, n])
    for n in range(frame.index.nlevels):
        levels = (back.index.get_level_values(n), frame.index.get_level_values(n))
        assert exact(levels[0]) == exact(levels[1])
