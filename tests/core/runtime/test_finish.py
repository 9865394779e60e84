"""The end of a run: open skips committed, states counted, a mark appended; and the state that follows from marks."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone

import pytest

from turnout.api.history import step_summaries
from turnout.base import clock
from turnout.base.identity import run_id
from turnout.components.orchestrator import RunStatus
from turnout.model.expressions import Compare, Const, Ref
from turnout.model.records import Mark
from turnout.runtime.attempt import Attempt
from turnout.runtime.finish import finish_run
from turnout.runtime.state import append_mark, mark_cancelled, marks_of, run_state
from turnout.runtime.step import run_step

SOURCE = """
    from pathlib import Path

    def one(given=None):
        return 1

    def numbers(count):
        return list(range(count))

    def odd_fails(x):
        if x % 2:
            raise ValueError(x)
        return x

    def flaky(path):
        if not Path(path).exists():
            raise OSError("not yet")
        return 1
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def test_all_steps_committed(demo):
    demo.make(demo.step("one"), demo.step("two", "one", given=demo.out("one")))
    assert demo.run() == {"succeeded": 2}
    (mark,) = demo.marks()
    assert (mark.state, mark.steps) == ("succeeded", {"succeeded": 2})


def test_elements_count_each_and_an_empty_map_counts_nothing(demo):
    demo.make(
        demo.step("numbers", lists=True, count=3),
        demo.step("odd_fails", x=demo.each("numbers")),
        demo.step("none", "numbers", lists=True, count=0),
        demo.step("over_none", "one", given=demo.each("none")),
    )
    assert demo.run() == {"failed": 1, "succeeded": 4}
    assert demo.marks()[0].state == "failed"


def test_what_was_never_called_counts_as_failed(demo):
    demo.make(
        demo.step("one"),
        demo.step("numbers", lists=True, count=2),
        demo.step("mapped", "one", given=demo.each("numbers")),
        demo.step("after", "one", given=demo.all("mapped")),
    )
    demo.call("one")
    assert finish_run(demo.open()).steps == {"failed": 3, "succeeded": 1}
    demo.call("numbers")
    assert finish_run(demo.open()).steps == {"failed": 3, "succeeded": 2}
    assert [mark.state for mark in demo.marks()] == ["failed", "failed"]


def test_a_finish_before_any_step_makes_the_run(demo):
    demo.make(demo.step("one"))
    mark = finish_run(demo.open())
    assert (mark.state, mark.steps) == ("failed", {"failed": 1})
    assert len(demo.infos()) == 1


def test_skips_that_nobody_needed_are_committed_in_one_go(demo):
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare("==", Ref("it"), Const(2)), it=demo.out("one")),
        demo.step("inner", "one", guards=("good",)),
        demo.step("deeper", "one", given=demo.out("inner")),
        demo.step("optional", "one", given=demo.out("inner", optional=True)),
        demo.step("numbers", lists=True, count=2, guards=("good",)),
        demo.step("mapped", "one", given=demo.each("numbers")),
        demo.step("collected", "one", given=demo.all("mapped")),
    )
    for step in ("one", "good", "optional"):
        assert run_step(demo.open(), step).exit_code == 0
    mark = finish_run(demo.open())
    assert (mark.state, mark.steps) == ("succeeded", {"skipped": 5, "succeeded": 3})
    reasons = {name: demo.record(name).reason for name in ("inner", "deeper", "numbers", "mapped", "collected")}
    assert reasons == {
        "inner": "the guard good was false",
        "deeper": "its input given comes from inner, which was skipped",
        "numbers": "the guard good was false",
        "mapped": "numbers, which it maps over, was skipped",
        "collected": "its input given comes from mapped, which was skipped",
    }
    assert demo.attempts("inner") == []


def kinds(demo):
    info = demo.infos()[0]
    found = marks_of(demo.store, info.project, info.id)
    return [mark.state if mark.kind == "finish" else mark.kind for mark in found]


def state(demo, said="unknown"):
    """The state of the run, whose engine says this of it."""
    return run_state(demo.open().run, Engine(said))


def test_an_end_is_marked_once_until_something_has_changed(demo, tmp_path):
    demo.make(demo.step("flaky", path=str(tmp_path / "there")))
    demo.call("flaky")
    assert finish_run(demo.open()) == finish_run(demo.open())
    assert kinds(demo) == ["begin", "failed"]
    assert demo.marks()[0].open == {"flaky": (demo.attempts("flaky")[0].id,)}
    demo.call("flaky")
    finish_run(demo.open())
    (tmp_path / "there").touch()
    demo.call("flaky")
    finish_run(demo.open())
    finish_run(demo.open())
    assert kinds(demo) == ["begin", "failed", "failed", "succeeded"]
    assert state(demo) == "succeeded"


def test_an_end_that_is_overtaken_looks_again(demo, monkeypatch):
    demo.make(demo.step("one"))
    late = demo.open()
    create = late.run.store.create

    def overtaken(key, data):
        if "/marks/" in key:
            monkeypatch.setattr(late.run.store, "create", create)
            demo.call("one")
            finish_run(demo.open())
        return create(key, data)

    monkeypatch.setattr(late.run.store, "create", overtaken)
    assert finish_run(late).state == "succeeded"
    assert kinds(demo) == ["begin", "succeeded"]


def test_cancelled_is_only_what_was_not_over(demo):
    demo.make(demo.step("one"))
    assert finish_run(demo.open(), cancelled=True).state == "cancelled"
    demo.call("one")
    assert finish_run(demo.open(), cancelled=True).state == "succeeded"


class Engine:
    """An engine that says what it is told to, and how often it was asked."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.asked = 0

    def __call__(self, info) -> RunStatus:
        self.asked += 1
        return RunStatus(state=self.state)


SAYS = ("running", "succeeded", "failed", "cancelled", "unknown")
"""What an engine may say."""


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ((), ("running", "failed", "failed", "cancelled", "unknown")),
        (("cancel",), ("running", "cancelled", "cancelled", "cancelled", "cancelled")),
        (("invalidate",), ("running", "failed", "failed", "cancelled", "failed")),
        (("finish", "resume"), ("running", "failed", "failed", "cancelled", "unknown")),
        (("finish",), ("failed",) * 5),
        (("cancel", "finish"), ("cancelled",) * 5),
        (("cancel", "resume", "finish"), ("failed",) * 5),
    ],
    ids=lambda marks: "-".join(marks) or "none",
)
def test_what_is_not_committed_is_no_success_whatever_the_engine_says(demo, marks, expected):
    demo.make(demo.step("one"), demo.step("two", "one"))
    demo.call("one")
    info = demo.infos()[0]
    for kind in marks:
        if kind == "finish":
            finish_run(demo.open())
        else:
            append_mark(demo.store, info.project, info.id, Mark(kind=kind, time="2026-01-01T00:00:00.000000Z"))
    assert tuple(state(demo, said) for said in SAYS) == expected
    demo.call("two")  # whatever was marked: all is committed
    assert [state(demo, said) for said in SAYS] == ["succeeded"] * 5


def test_records_are_enough_and_the_engine_is_not_asked(demo):
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare("==", Ref("it"), Const(2)), it=demo.out("one")),
        demo.step("inner", "one", guards=("good",)),
        demo.step("after", "one", given=demo.out("inner")),
    )
    engine = Engine("failed")
    demo.call("one")
    assert run_state(demo.open().run, engine) == "failed"
    demo.call("good")  # the skips follow, though nobody has committed them
    assert run_state(demo.open().run, engine) == "succeeded"
    assert engine.asked == 1


def test_a_new_attempt_at_what_was_open_asks_the_engine_again(demo, tmp_path):
    demo.make(demo.step("one"), demo.step("flaky", path=str(tmp_path / "there")))
    demo.call("flaky")
    finish_run(demo.open())
    assert state(demo, "running") == "failed"
    demo.call("one")  # has a record, which it had not
    assert state(demo, "running") == "running"
    finish_run(demo.open())
    demo.call("flaky")
    assert (state(demo, "running"), state(demo)) == ("running", "unknown")
    finish_run(demo.open())
    assert state(demo, "running") == "failed"


@pytest.mark.parametrize("shift", [-7200, 7200, 1])
def test_no_clock_decides(demo, tmp_path, monkeypatch, shift):
    """A machine's clock is set back, or ahead, between a failure and what comes after it."""
    demo.make(demo.step("one"), demo.step("flaky", path=str(tmp_path / "there")))
    demo.call("one")
    demo.call("flaky")
    finish_run(demo.open())
    info = demo.infos()[0]
    append_mark(demo.store, info.project, info.id, Mark(kind="resume", time=clock.now()))
    now = datetime.now(timezone.utc)
    monkeypatch.setattr(clock, "now", lambda: clock.written(now + timedelta(seconds=shift)))
    assert state(demo, "running") == "running"
    demo.call("flaky")
    finish_run(demo.open())
    assert state(demo, "running") == "failed"
    summaries = {one.step: one for one in step_summaries(demo.store, demo.plan, info.id, {})}
    first, second = demo.marks()[0].open["flaky"], summaries["flaky"].attempts
    assert [one.id in first for one in second] == [True, False]
    (tmp_path / "there").touch()
    demo.call("flaky")
    assert state(demo, "running") == "succeeded"
    finish_run(demo.open())
    assert kinds(demo) == ["begin", "failed", "resume", "failed", "succeeded"]


def test_a_cancelled_run_is_marked_before_it_begins_and_not_after_its_end(demo):
    demo.make(demo.step("one"))
    run = run_id("bench", "demo", demo.plan.instance, "run 1")
    mark_cancelled(demo.store, demo.plan, run)
    finish_run(demo.open())
    assert state(demo, "failed") == "cancelled"
    mark_cancelled(demo.store, demo.plan, run)
    assert kinds(demo) == ["cancel", "cancelled"]


def test_runs_of_turnout_0_1_are_read(demo):
    """They have finish marks alone, without the attempts that these saw."""
    demo.make(demo.step("one"), demo.step("two", "one"))
    demo.call("one")
    folder = demo.run_folder() / "finish"
    folder.mkdir()
    shutil.rmtree(demo.run_folder() / "marks")
    for number, (time, said) in enumerate([("2026-03-02", "failed"), ("2026-03-01", "cancelled")]):
        document = {"format": 1, "time": f"{time}T00:00:00.000000Z", "state": said, "steps": {"failed": 1}}
        (folder / f"{number}.json").write_text(json.dumps(document))
    assert state(demo, "succeeded") == "cancelled"
    info = demo.infos()[0]
    append_mark(demo.store, info.project, info.id, Mark(kind="resume", time="2026-01-01T00:00:00.000000Z"))
    assert state(demo, "running") == "running"
    demo.call("two")
    finish_run(demo.open())
    assert state(demo) == "succeeded"


def test_an_attempt_that_was_overtaken_changes_nothing(demo, monkeypatch):
    """A call that is thought lost ends after the end of the run: the step is committed, and the run is over."""
    demo.make(demo.step("one"))
    late, write = demo.open(), Attempt._end

    def overtaken(*args):
        monkeypatch.setattr(Attempt, "_end", write)
        assert demo.call("one").adopted is False
        finish_run(demo.open())
        write(*args)

    monkeypatch.setattr(Attempt, "_end", overtaken)
    assert run_step(late, "one").adopted
    assert max(attempt.ended for attempt in demo.attempts("one")) > demo.marks()[0].time
    assert state(demo, "failed") == "succeeded"
