"""The end of a run: open skips committed, states counted, a mark appended; and the state that follows from marks."""

from __future__ import annotations

import pytest

from turnout.api.history import run_state
from turnout.components.orchestrator import RunStatus
from turnout.records import model as records
from turnout.records.model import FinishMark
from turnout.runtime import step as runtime_step
from turnout.runtime.finish import finish_run
from turnout.runtime.step import run_step
from turnout.spec.expressions import Compare, Const, Ref

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


def test_each_end_appends_a_mark_of_its_own_and_the_newest_counts(demo, tmp_path):
    demo.make(demo.step("flaky", path=str(tmp_path / "there")))
    demo.call("flaky")
    finish_run(demo.open())
    (tmp_path / "there").touch()
    demo.call("flaky")
    finish_run(demo.open())
    finish_run(demo.open())
    names = sorted(path.name for path in (demo.run_folder() / "finish").iterdir())
    assert names == ["0.json", "1.json", "2.json"]
    assert [mark.state for mark in demo.marks()] == ["failed", "succeeded", "succeeded"]
    assert run_state(demo.store, demo.infos()[0]) == "succeeded"


def test_two_ends_at_once_do_not_overwrite_each_other(demo, monkeypatch):
    demo.make(demo.step("one"))
    late = demo.open()
    children = late.store.children

    def overtaken(prefix):
        found = children(prefix)
        if prefix.endswith("/finish"):
            monkeypatch.setattr(late.store, "children", children)
            finish_run(demo.open())
        return found

    monkeypatch.setattr(late.store, "children", overtaken)
    finish_run(late)
    assert len(demo.marks()) == 2


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


def test_without_a_mark_the_engine_says_what_the_state_is(demo):
    demo.make(demo.step("one"))
    info = demo.open().run
    assert run_state(demo.store, info) == "unknown"
    assert run_state(demo.store, info, Engine("running")) == "running"


def test_a_mark_that_is_newer_than_every_attempt_decides(demo):
    demo.make(demo.step("one"))
    demo.run()
    engine = Engine("running")
    assert run_state(demo.store, demo.infos()[0], engine) == "succeeded"
    assert engine.asked == 0


def test_an_attempt_that_is_newer_than_the_mark_asks_the_engine_again(demo, tmp_path):
    demo.make(demo.step("flaky", path=str(tmp_path / "there")))
    demo.call("flaky")
    finish_run(demo.open())
    info = demo.infos()[0]
    assert run_state(demo.store, info, Engine("running")) == "failed"
    demo.call("flaky")
    assert run_state(demo.store, info, Engine("running")) == "running"
    assert run_state(demo.store, info) == "unknown"
    finish_run(demo.open())
    assert run_state(demo.store, info, Engine("running")) == "failed"


def test_the_newest_mark_is_by_its_time_not_its_number(demo):
    demo.make(demo.step("one"))
    info = demo.open().run
    folder = demo.run_folder() / "finish"
    folder.mkdir()
    for number, (time, state) in enumerate([("2026-03-02", "succeeded"), ("2026-03-01", "failed")]):
        mark = FinishMark(time=f"{time}T00:00:00.000000Z", state=state)
        (folder / f"{number}.json").write_bytes(records.encode(mark))
    assert run_state(demo.store, info) == "succeeded"


def test_an_attempt_that_was_overtaken_changes_nothing(demo, monkeypatch):
    """A call that is thought lost ends after the end of the run: the step is committed, and the run is over."""
    demo.make(demo.step("one"))
    late, write = demo.open(), runtime_step._write_attempt

    def overtaken(*args):
        monkeypatch.setattr(runtime_step, "_write_attempt", write)
        assert demo.call("one").adopted is False
        finish_run(demo.open())
        write(*args)

    monkeypatch.setattr(runtime_step, "_write_attempt", overtaken)
    assert run_step(late, "one").adopted
    assert max(attempt.ended for attempt in demo.attempts("one")) > demo.marks()[0].time
    assert run_state(demo.store, demo.infos()[0]) == "succeeded"
