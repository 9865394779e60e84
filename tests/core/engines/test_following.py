"""Who watches a run is told of each step once, by what the records say."""

from __future__ import annotations

import pytest

from turnout.model.records import Mark
from turnout.plugin_api import Change, Element, Follower, InputSpec, PolledRun, Record, RunError, encode, layout
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


class Engine(PolledRun):
    """Answers by a list: a state, or an error."""

    patience = 1

    def __init__(self, answers, *given):
        super().__init__(*given)
        self.answers = iter(answers)
        self.stopped = 0

    def poll(self):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        self.tell(Change("load", None, "running"))
        return answer

    def stop(self):
        self.stopped += 1
        return True


@pytest.fixture
def polled(store):
    plan = sample_plan(sample_step("load"))

    def make(*answers, interval=0.0, store=store):
        told: list[Change] = []
        return Engine(answers, plan, "run 1", store, told.append, interval), told

    return make


def test_an_engine_is_asked_once_an_interval_and_its_word_told_once(polled):
    run, told = polled("running", "running", "failed", interval=3600.0)
    assert [run.wait(0) for _ in range(3)] == ["running"] * 3
    assert told == [Change("load", None, "running")]
    run.cancel()
    assert run.wait(0) == "running", "cancelled just now: it is asked at once"
    run, told = polled("running", "running", "failed")
    assert run.wait() == "failed"
    assert told == [Change("load", None, "running"), Change("load", None, "blocked")]


def test_a_run_that_failed_after_it_was_stopped_from_here_was_cancelled(polled):
    run, _ = polled("failed")
    run.cancel()
    assert (run.wait(), run.stopped) == ("cancelled", 1)


def test_an_engine_may_fail_to_answer_as_often_as_it_says(polled):
    away = RunError("away")
    run, _ = polled(away, "running", away, "succeeded", store=None)
    assert run.wait() == "succeeded"
    run, _ = polled("running", away, away)
    with pytest.raises(RunError, match="away"):
        run.wait()


def test_the_mark_of_a_runs_end_counts_whatever_the_engine_says(polled, store):
    run, _ = polled("succeeded")
    assert [run.wait(), run.wait()] == ["succeeded"] * 2, "an end is asked for once"
    run, _ = polled("succeeded")
    mark = encode(Mark(state="failed", time="2026-01-31T12:00:00.000000Z"))
    store.create(layout.mark("sample", run.run_id, 0), mark)
    assert run.wait() == "failed"


def test_what_came_between_two_looks_is_told_in_the_plans_order(store):
    mapped = {"x": InputSpec(source=Element(step="talk", output="output"))}
    plan = sample_plan(sample_step("talk"), sample_step("each", inputs=mapped), sample_step("add"))
    for label in ("add", *(f"each.{index}" for index in range(12)), "talk"):
        step, _, index = label.partition(".")
        record = Record(run="r", step=step, index=int(index) if index else None, state="succeeded")
        store.create(f"sample/runs/r/steps/{label}/record.json", encode(record))
    told: list[Change] = []
    Follower(plan, "r", store, told.append).look()
    assert [(one.step, one.index) for one in told] == [("talk", None), *(("each", n) for n in range(12)), ("add", None)]
