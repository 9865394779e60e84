"""What a run is found by in a tracker, as the feature store that its steps ask wants it."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pyarrow as pa
import pytest

from turnout import builtin
from turnout.api import promotion
from turnout.api.run import Run
from turnout.api.sync import sync
from turnout.api.workspace import Workspace
from turnout.base.errors import ConfigError
from turnout.components.base import Config
from turnout.components.feature_store import ROW, FeatureStore, FeatureView
from turnout.components.hookspecs import hookimpl
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker, TrackerConfig
from turnout.model.feature_use import entrypoint
from turnout.model.plan import Component, Worker
from turnout.project.project import load
from turnout.runtime.step import run_step

SOURCE = """
    import pandas as pd

    def rows():
        return pd.DataFrame({"airport": ["a", "b"], "since": pd.to_datetime(["2026-01-01"] * 2, utc=True)})

    def fit(table):
        return len(table)
"""
WIND, SKY, PLANES = "weather:wind", "weather:sky", "traffic:planes"


class Labels(FeatureStore[Config]):
    """Has a one for each row, and labels of its own for runs."""

    name = "labels"
    Config = Config

    def historical(self, entities, features, *, keys, timestamp, inputs=(), known_at=False):
        ones = pa.array([1] * len(entities), pa.int64())
        return pa.table({ROW: entities[ROW], **{feature.partition(":")[2]: ones for feature in features}})

    def online(self, entities, features, *, keys, inputs=()):
        raise AssertionError

    def materialize(self, until, *, since=None, views=(), force=False, progress=None):
        raise AssertionError

    def push(self, view, rows):
        raise AssertionError

    def version(self, features):
        return "1"

    def tags(self, features, services):
        return {"labels.features": ",".join(features), "labels.services": ",".join(services)}

    def resolve(self, service):
        if service != "busy":
            raise ConfigError(f"no service {service!r}")
        return (PLANES,)

    def describe(self):
        keys, whole = {"airport": "string"}, "int64"
        weather = FeatureView(name="weather", keys=keys, timestamp="since", features={"wind": whole, "sky": whole})
        return (weather, FeatureView(name="traffic", keys=keys, timestamp="since", features={"planes": whole}))


class Board(Tracker[TrackerConfig]):
    """Shows the tags of runs, and what is told of them when something is registered."""

    name = "board"
    Config = TrackerConfig
    shown: ClassVar[list[tuple[str, dict[str, str]]]] = []
    registered: ClassVar[list[dict[str, str]]] = []

    def begin(self, run, *, claimed):
        return run.id

    def log(self, batch):
        Board.shown.append((batch.step, batch.tags))

    def finish(self, run, external_id, state):
        pass

    def register(self, promotion):
        Board.registered.append(promotion.tags)


class Plugin:
    @hookimpl
    def turnout_trackers(self):
        return (Board,)

    @hookimpl
    def turnout_feature_stores(self):
        return (Labels,)


@pytest.fixture
def demo(bench, monkeypatch):
    monkeypatch.setattr(Board, "shown", [])
    monkeypatch.setattr(Board, "registered", [])
    bench.write(SOURCE)
    bench.registry = Registry([builtin, Plugin()])
    return bench


def make(demo, **looked_up):
    """A plan of look-ups, each kept for the next run, by the name of its step."""
    given = {"entities": demo.out("rows"), "timestamp": None}
    steps = [
        msgspec.structs.replace(demo.step(name, cache=3600.0, **given, **asked), entrypoint=entrypoint("historical"))
        for name, asked in looked_up.items()
    ]
    worker = Worker(tracker=Component(type="board"), feature_store=Component(type="labels"))
    fit = demo.step("fit", table=demo.out(next(iter(looked_up))))
    demo.make(demo.step("rows", cache=True), *steps, fit, worker=worker)


def run(demo, name):
    """A run by a worker, which unlike one that shares the process of a test may use the cache."""
    session = demo.open(run=name)
    session.in_process = False
    for step in demo.plan.steps:
        run_step(session, step.name)
    session.close()


def test_a_run_is_labelled_with_all_features_that_it_looks_up(demo):
    make(demo, first={"features": [WIND, SKY]}, second={"service": "busy"}, third={"features": [SKY]})
    assert demo.run() == {"succeeded": 5}
    tags = {"labels.features": f"{WIND},{SKY},{PLANES}", "labels.services": "busy"}
    assert sorted(Board.shown, key=str) == [(name, tags) for name in ("first", "second", "third")]
    stack = demo.root / "stack.yaml"
    stack.write_text("extends: local\nartifact_store: {root: ../store}\ntracker: {type: board}\n")
    done = Run(demo.open().run.info.id, workspace=Workspace(load(demo.root), str(stack), demo.registry))
    promotion.promote(done, "fit", "champion")
    assert Board.registered == [tags]
    Board.shown.clear()
    sync(done)
    assert [shown for _, shown in Board.shown] == [tags] * 3


def test_a_look_up_that_was_cached_is_labelled_with_those_of_its_own_run(demo):
    make(demo, first={"features": [WIND]}, second={"features": [SKY]})
    run(demo, "run 1")
    Board.shown.clear()
    make(demo, first={"features": [WIND]})
    run(demo, "run 2")
    assert demo.record("first", run="run 2").cached_from
    assert Board.shown == [("first", {"labels.features": WIND, "labels.services": ""})]
