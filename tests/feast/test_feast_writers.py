"""Several processes that materialize one view: each window once, whoever is killed meanwhile."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import writers
from feast import FeatureStore

from turnout.features import retrieval
from turnout.testing.feature_store import at
from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.settings import FeastSettings


def test_each_window_is_materialized_once_whoever_is_killed(repository: Callable[..., Path]) -> None:
    folder = repository()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["feast", "feast.infra.offline_stores.duckdb", "writers"])
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
