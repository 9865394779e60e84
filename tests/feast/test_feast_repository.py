"""What a Feast repository brings beyond the suite: on-demand views, services, owners, versions, and what can be wrong with it."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import repositories
import yaml
from feast import FeatureStore
from postgres import free_port

from turnout.base.errors import ConfigError, RunError, TurnoutError, UnsupportedError
from turnout.features import retrieval
from turnout.testing.feature_store import at
from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.repository import Repository
from turnout_feast.settings import FeastSettings

Make = Callable[..., Path]


def store_of(folder: Path, **settings: Any) -> FeastFeatureStore:
    return FeastFeatureStore(FeastSettings(repo=str(folder), **settings))


@pytest.fixture
def store(repository: Make) -> FeastFeatureStore:
    return store_of(repository())


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_an_on_demand_view_is_computed_alike_in_training_and_online(store: FeastFeatureStore) -> None:
    store.materialize(at(13), views=["weather"])
    table = rows(airport=["JFK", None, "XYZ", "JFK"], time=[at(13), at(13), at(13), at(1)], factor=[2, 3, 4, None])
    features = {"features": ["gusts:gust", "weather:wind"], "inputs": ["factor"]}
    then = retrieval.historical(store, table, timestamp="time", **features)
    now = retrieval.online(store, table, **features)
    assert then["gust"].fillna(-1).tolist() == [24.0, -1, -1, -1]
    assert then["wind"].fillna(-1).tolist() == [12.0, -1, -1, 0.5]
    assert now["gust"].fillna(-1).tolist() == [24.0, -1, -1, -1]
    with pytest.raises(ConfigError, match="computed from factor"):
        retrieval.historical(store, table, ["gusts:gust"], timestamp="time")


def test_to_materialize_an_on_demand_view_is_to_materialize_its_sources(store: FeastFeatureStore) -> None:
    done = store.materialize(at(13), views=["gusts", "weather"])
    assert [(one.view, one.until) for one in done] == [("weather", at(13))]
    until = {view.name: view.materialized_until for view in store.describe()}
    assert (until["gusts"], until["traffic"]) == (at(13), None)


def test_an_input_of_another_type_is_told(store: FeastFeatureStore) -> None:
    table = rows(airport=["JFK"], time=[at(13)], factor=["much"])
    with pytest.raises(RunError, match="the input 'factor' is string, where the on-demand view 'gusts' takes double"):
        retrieval.historical(store, table, ["gusts:gust"], timestamp="time", inputs=["factor"])


def test_a_function_that_fails_is_told_with_its_words(store: FeastFeatureStore) -> None:
    table = rows(airport=["JFK"], time=[at(13)], factor=[-1.0])
    with pytest.raises(RunError, match="computing the on-demand view 'gusts'") as caught:
        retrieval.historical(store, table, ["gusts:gust"], timestamp="time", inputs=["factor"])
    assert "a factor is never negative" in str(caught.value)


def test_a_service_stands_for_its_features(store: FeastFeatureStore) -> None:
    assert store.resolve("delay") == ("weather:wind", "traffic:planes")
    assert store.resolve("gusty") == ("gusts:gust",)
    with pytest.raises(UnsupportedError, match="another name or other keys"):
        store.resolve("renamed")
    with pytest.raises(ConfigError, match="Did you mean 'delay'"):
        store.resolve("dely")


def test_views_are_described_with_owner_inputs_and_what_is_done_otherwise(store: FeastFeatureStore) -> None:
    views = {view.name: view for view in store.describe()}
    assert (views["weather"].owner, views["weather"].doc) == ("met@example.org", "The weather at airports.")
    assert views["gusts"].inputs == {"factor": "double"}
    assert views["gusts"].keys == {"airport": "string"}
    assert views["corrected"].known_at
    assert not views["weather"].known_at
    assert any("to the second" in note for note in views["weather"].notes)
    assert any("in this process" in note for note in views["weather"].notes)


def test_a_view_that_is_not_online_says_so_and_why(repository: Make) -> None:
    folder = repository()
    feast = FeatureStore(repo_path=str(folder))
    for name, field in (("weather", "online"), ("corrected", "enabled")):
        view = feast.get_feature_view(name)
        setattr(view, field, False)
        feast.apply([view])
    store = store_of(folder)
    refused = {view.name: view.refuses for view in store.describe() if view.refuses}
    offline = dict.fromkeys(("online", "materialize"), "its definition says online=False")
    disabled = {"materialize": "its definition says enabled=False"}
    assert refused == {"weather": offline, "gusts": offline, "corrected": disabled}
    for name, why in (("weather", offline), ("corrected", disabled)):
        with pytest.raises(UnsupportedError, match=why["materialize"]):
            store.materialize(at(13), views=[name])
    with pytest.raises(RunError, match="online=False"):
        retrieval.online(store, rows(airport=["JFK"]), ["weather:wind"])
    assert "weather" not in {one.view for one in store.materialize(at(13))}


def test_a_version_changes_with_the_definitions_alone(repository: Make) -> None:
    folder = repository()
    features = ["weather:wind", "gusts:gust"]
    store = store_of(folder)
    version = store.version(features)
    store.materialize(at(13))
    repositories.apply(folder)
    assert store.version(features) == version == store_of(folder).version(features)
    repositories.apply(folder, ttl={"weather": timedelta(hours=1)})
    changed = store.version(features)
    repositories.apply(folder, ttl={"weather": timedelta(hours=1)}, factor="factor + 1")
    assert len({version, changed, store.version(features)}) == 3


@pytest.mark.parametrize("online", ["sqlite", "redis"])
def test_a_correction_of_the_same_time_counts(
    online: str, repository: Make, online_store: Callable[[str], dict[str, Any]]
) -> None:
    import pyarrow as pa

    store = store_of(repository(online=online_store(online)))
    store.materialize(at(13), views=["renewed"])
    assert retrieval.online(store, rows(code=["a"]), ["renewed:state"])["state"].tolist() == [6]
    time = pa.timestamp("us", "UTC")
    correction = {"code": ["a"], "since": pa.array([at(6)], time), "written": pa.array([at(20)], time), "state": [7]}
    assert store.push("renewed", pa.table(correction)) == 1
    assert retrieval.online(store, rows(code=["a"]), ["renewed:state"])["state"].tolist() == [7]


@pytest.mark.parametrize("offline", ["duckdb", "dask"])
def test_whole_numbers_with_nulls_stay_whole(offline: str, repository: Make) -> None:
    store = store_of(repository(offline))
    store.materialize(at(13), views=["whole"])
    table = rows(code=["a", "b", "a"], time=[at(13), at(13), at(7)])
    import pyarrow as pa

    then = retrieval.historical(store, pa.Table.from_pandas(table), ["whole:whole"], timestamp="time")
    assert (then["whole"].type, then["whole"].to_pylist()) == (pa.int64(), [None, 2**40, 1])
    now = retrieval.online(store, pa.Table.from_pandas(table), ["whole:whole"])
    assert (now["whole"].type, now["whole"].to_pylist()) == (pa.int64(), [None, 2**40, None])


def test_data_by_relative_paths_is_found_wherever_a_step_runs(repository: Make, tmp_path: Path) -> None:
    """duckdb's offline store of Feast looks for it where its process runs."""
    folder = repository(relative=True)
    assert Path.cwd() != folder
    store = store_of(folder)
    found = retrieval.historical(store, rows(airport=["JFK"], time=[at(13)]), ["weather:wind"], timestamp="time")
    assert found["wind"].tolist() == [12.0]
    assert "process of its own" in store.place


def test_a_process_of_its_own_answers_alike(repository: Make) -> None:
    folder = repository()
    store = store_of(folder, python=sys.executable, variables={"SOME": "value"})
    told: list[tuple[str, float]] = []
    store.materialize(at(13), views=["weather"], progress=lambda *news: told.append(news))
    assert told == [("weather", 0.0), ("weather", 1.0)]
    table = rows(airport=["JFK", None, "LGA"], time=[at(13)] * 3, factor=[2.0, 3.0, 4.0])
    features = {"features": ["gusts:gust", "weather:sky"], "inputs": ["factor"]}
    here = store_of(folder)
    pd.testing.assert_frame_equal(
        retrieval.historical(store, table, timestamp="time", **features),
        retrieval.historical(here, table, timestamp="time", **features),
    )
    pd.testing.assert_frame_equal(retrieval.online(store, table, **features), retrieval.online(here, table, **features))
    assert store.describe()[0].name == here.describe()[0].name
    with pytest.raises(ConfigError, match="no feature service 'nothing'"):
        store.resolve("nothing")
    with pytest.raises(TurnoutError, match="never materialized"):
        retrieval.online(store, table, ["traffic:planes"])


def test_a_registry_that_is_not_there_is_named_and_not_made(repository: Make) -> None:
    folder = repository()
    (folder / "registry.db").unlink()
    with pytest.raises(ConfigError, match=r"registry\.db is not there") as caught:
        store_of(folder).describe()
    assert "feast apply" in str(caught.value)
    assert not (folder / "registry.db").exists()


def test_a_view_that_was_renamed_is_missed_by_a_store_that_knew_it(repository: Make) -> None:
    folder = repository()
    store = store_of(folder)
    table = rows(airport=["JFK"], time=[at(13)])
    retrieval.historical(store, table, ["weather:wind"], timestamp="time")
    from feast import FeatureStore

    feast = FeatureStore(repo_path=str(folder))
    feast.delete_feature_service("delay")
    feast.delete_feature_service("gusty")
    feast.registry.delete_feature_view("gusts", feast.project)
    feast.delete_feature_view("weather")
    with pytest.raises(ConfigError, match="no view 'weather'"):
        retrieval.historical(store, table, ["weather:wind"], timestamp="time")


def test_a_source_of_another_type_is_told(repository: Make) -> None:
    folder = repository()
    data = pd.read_parquet(folder / "weather.parquet")
    data.assign(wind=["much"] * len(data)).to_parquet(folder / "weather.parquet")
    with pytest.raises(RunError, match="'wind' of the view 'weather' is string in its source, and declared double"):
        retrieval.historical(store_of(folder), rows(airport=["JFK"], time=[at(13)]), ["weather:wind"], timestamp="time")


def test_a_source_that_is_gone_is_told(repository: Make) -> None:
    folder = repository()
    (folder / "weather.parquet").unlink()
    with pytest.raises(RunError, match="Feast failed while joining the features of 'weather'"):
        retrieval.historical(store_of(folder), rows(airport=["JFK"], time=[at(13)]), ["weather:wind"], timestamp="time")


def test_a_store_that_is_down_is_told(repository: Make) -> None:
    folder = repository()
    store_of(folder).materialize(at(13), views=["weather"])
    settings = yaml.safe_load((folder / "feature_store.yaml").read_text())
    settings["online_store"] = {"type": "redis", "connection_string": f"127.0.0.1:{free_port()}"}
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(RunError, match="a store of Feast's cannot be reached while reading 'weather' online"):
        retrieval.online(store_of(folder), rows(airport=["JFK"]), ["weather:wind"])


def test_settings_that_feast_refuses_are_told(repository: Make) -> None:
    folder = repository()
    (folder / "feature_store.yaml").write_text("project: suite\nprovider: local\nonline_store: {type: nothing}\n")
    with pytest.raises(ConfigError, match=f"reading {folder / 'feature_store.yaml'}"):
        store_of(folder).describe()


def test_a_readers_eyes_see_no_registry_half_written(repository: Make) -> None:
    """Feast writes a registry's file in place: a reader that comes then reads it again."""
    folder = repository()
    store = store_of(folder)
    whole = (folder / "registry.db").read_bytes()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        (folder / "registry.db").write_bytes(b"")
        os.write(writing, b"x")
        os.sched_yield()
        (folder / "registry.db").write_bytes(whole)
        os._exit(0)
    os.read(reading, 1)
    assert "weather" in {view.name for view in store.describe()}
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_what_feast_reads_past_its_cache_waits_for_a_writer_too(repository: Make) -> None:
    """Materializing asks the registry's file for the entities of a view."""
    folder = repository()
    known = Repository(FeastSettings(repo=str(folder)))
    file, lock = folder / "registry.db", folder / ".registry.db.lock"
    whole = file.read_bytes()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            file.write_bytes(b"")
            os.write(writing, b"x")
            time.sleep(0.5)
            file.write_bytes(whole)
        os._exit(0)
    os.read(reading, 1)
    assert known.store.registry.get_entity("airport", known.store.project).join_key == "airport"
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
