"""Several processes that materialize at once: each window once, none lost, whoever is killed meanwhile."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import writers
from feast import FeatureStore

from turnout.features import retrieval
from turnout.testing.feature_store import at
from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.settings import FeastSettings


@pytest.fixture(scope="module")
def context() -> Any:
    """Makes processes by a server that has imported Feast."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["feast", "feast.infra.offline_stores.duckdb", "writers"])
    return made


def test_each_window_is_materialized_once_whoever_is_killed(context: Any, repository: Callable[..., Path]) -> None:
    folder = repository()
    told = context.Queue()

    def start(what: Callable[..., None]) -> Any:
        process = context.Process(target=what, args=(str(folder), told))
        process.start()
        return process

    unnoted = start(writers.killed_before_its_note)
    unnoted.join(300)
    holder = start(writers.killed_with_its_turn)
    assert told.get(timeout=300) == "begun"
    waiting = [start(writers.write) for _ in range(4)]
    for one in waiting:
        one.join(0.5)
    assert [one.exitcode for one in waiting] == [None] * 4, "they wait for their turns"
    holder.kill()
    for one in (holder, *waiting):
        one.join(300)
    assert [one.exitcode for one in (unnoted, holder)] == [-signal.SIGKILL] * 2
    assert [one.exitcode for one in waiting] == [0] * 4
    assert sorted(told.get(timeout=60) for _ in writers.HOURS) == [*writers.HOURS]
    assert told.empty()
    windows = FeatureStore(repo_path=str(folder)).get_feature_view("weather").materialization_intervals
    ends = [at(hour) for hour in writers.HOURS]
    assert [end for _, end in windows] == ends
    assert [start for start, _ in windows][1:] == ends[:-1]
    store = FeastFeatureStore(FeastSettings(repo=str(folder)))
    found = retrieval.online(store, pd.DataFrame({"airport": ["JFK", "LGA"]}), ["weather:wind"])
    assert found["wind"].tolist() == [12.0, 7.5]


def test_no_window_is_lost_and_no_reader_interrupted(context: Any, repository: Callable[..., Path]) -> None:
    folder = repository()
    store = FeastFeatureStore(FeastSettings(repo=str(folder)))
    store.materialize(at(7), views=["weather", "counted"])
    views = ("weather", "traffic", "fading", "gaps")
    told, go = context.Queue(), context.Event()
    started = [context.Process(target=writers.write_one, args=(str(folder), told, view, go)) for view in views]
    try:
        for one in started:
            one.start()
        assert {told.get(timeout=300) for _ in views} == {*views}
        go.set()
        reads: list[float] = []
        table = pd.DataFrame({"airport": ["LGA"], "number": [7]})
        while any(one.is_alive() for one in started):
            reads += retrieval.online(store, table, ["weather:wind", "counted:count"])["wind"].tolist()
            time.sleep(0.02)
    finally:
        go.set()
        for one in started:
            one.join(300)
    assert [one.exitcode for one in started] == [0] * 4
    assert reads
    assert set(reads) == {7.5}
    feast = FeatureStore(repo_path=str(folder))
    windows = {view.name: len(view.materialization_intervals) for view in feast.list_feature_views()}
    assert windows["counted"] == 5
    assert [windows[view] for view in views] == [2, 1, 1, 1]
