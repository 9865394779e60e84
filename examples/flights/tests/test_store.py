"""The weather from the feature store is that of the pipeline, value for value."""

from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("polars")

from delays import features, views
from from_store import answered, ask, delay_by_now, flights_from_store, weather
from pipeline import add_weather, load, validate
from turnout.features import retrieval
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.store import LocalFeatureStore


def test_the_store_joins_what_the_pipeline_joins(tmp_path: Path):
    views.write(tmp_path)
    view = ViewSettings(keys=("origin",), timestamp="known", ttl="3h")
    store = LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views={"weather": view}))
    departures, reports = validate(*load(rows=6000))
    joined = retrieval.historical(
        store, ask(departures), weather.features, entity=weather.entity, timestamp=weather.timestamp
    )
    pd.testing.assert_frame_equal(answered(joined), add_weather(departures, reports))


def test_the_view_is_brought_online_by_a_step():
    steps = {step.name: step for step in flights_from_store.spec.steps}
    assert set(steps["add_weather"].upstream) == {"ask"}
    assert steps["materialize_add_weather"].effect


def test_its_endpoint_looks_the_weather_up_and_asks_for_none():
    spec = delay_by_now.trace().spec
    assert [step.name for step in spec.steps] == ["add_weather", "predict"]
    assert not {*features.WEATHER} & {*spec.requests[0].columns}
