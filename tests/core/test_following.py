"""Who watches a run is told of each step once, by what the records say."""

from __future__ import annotations

import pytest

from turnout.plugin_api import Change, Element, Follower, InputSpec, Record, encode
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan, sample_step


@pytest.fixture
def store(tmp_path):
    return LocalStore.from_url(str(tmp_path))


def test_each_step_is_told_once(store):
    mapped = {"x": InputSpec(source=Element(step="load", output="output"))}
    plan = sample_plan(sample_step("load"), sample_step("part.each", inputs=mapped), sample_step("last"))
    told: list[Change] = []
    follower = Follower(plan, "r", store, told.append)

    def commit(name, **fields):
        times = {"started": "2026-01-31T12:00:00.000000Z", "ended": "2026-01-31T12:00:02.500000Z"}
        store.create(f"sample/runs/r/steps/{name}/record.json", encode(Record(run="r", **times, **fields)))

    follower.look()
    assert told == []
    commit("load", step="load", state="succeeded")
    commit("part.each.1", step="part.each", index=1, state="succeeded", cached_from="q/part.each.1")
    store.create("sample/runs/r/steps/part.each.0/attempts/a.json", b"{}")
    follower.look()
    follower.look()
    assert told == [
        Change("load", None, "succeeded", seconds=2.5),
        Change("part.each", 1, "reused", seconds=2.5),
    ]
    follower.look(ended=True)
    follower.look(ended=True)
    assert told[2:] == [Change("part.each", 0, "failed"), Change("last", None, "blocked")]
