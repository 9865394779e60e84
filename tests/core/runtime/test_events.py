"""Who is told of a run: observers of every event in order, and one run of the tracker's for all workers."""

from __future__ import annotations

import json
import threading
from typing import ClassVar

import pytest

from turnout import builtin
from turnout.components.base import Config
from turnout.components.hookspecs import hookimpl
from turnout.components.observer import Observer
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker
from turnout.model.expressions import Compare, Const, Ref
from turnout.model.plan import Component, Worker
from turnout.model.records import Reuse
from turnout.runtime.finish import finish_run
from turnout.tracking import tracking

SOURCE = """
    from turnout import log_metric, log_artifact

    def one(given=None):
        log_metric("loss", 0.5)
        log_artifact("settings", {"a": 1})
        return [1, 2]

    def quiet(given=None):
        return 1

    def broken():
        log_metric("loss", 0.7)
        raise ValueError("no")
"""


class Fake(Tracker[Config]):
    """Keeps what it is told; may be down."""

    name = "fake"
    calls: ClassVar[list[tuple]] = []
    down: ClassVar[set[str]] = set()

    def _note(self, what: str, *details: object) -> None:
        Fake.calls.append((what, *details))
        if what in self.down:
            raise ConnectionError(f"{what} is down")

    def begin(self, run, *, claimed):
        self._note("begin", run.id, claimed)
        return f"external {len(self.of('begin'))}"

    def log(self, batch):
        sizes = {name: sorted(p.name for p in path.iterdir()) for name, path in batch.artifacts.items()}
        self._note("log", batch, sizes)

    def finish(self, run, external_id, state):
        self._note("finish", external_id, state)

    @classmethod
    def of(cls, what: str) -> list[tuple]:
        return [call[1:] for call in cls.calls if call[0] == what]


class Down(Observer[Config]):
    name = "down"

    def notify(self, event):
        raise RuntimeError("nobody listens")


class Plugin:
    @hookimpl
    def turnout_trackers(self):
        return (Fake,)

    @hookimpl
    def turnout_observers(self):
        return (Down,)


@pytest.fixture
def demo(bench, monkeypatch):
    monkeypatch.setattr(Fake, "calls", [])
    monkeypatch.setattr(Fake, "down", set())
    bench.write(SOURCE)
    bench.registry = Registry([builtin, Plugin()])
    bench.events = bench.folder / "events" / "all.jsonl"
    return bench


def observed(demo, *more: Component) -> Worker:
    jsonl = Component(type="jsonl", config={"path": str(demo.events)})
    return Worker(observers=(*more, jsonl))


def events(demo):
    return [json.loads(line) for line in demo.events.read_text().splitlines()]


def test_every_event_is_told_in_order(demo):
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare("==", Ref("it"), Const("x")), it=demo.out("one")),
        demo.step("inner", "quiet", guards=("good",)),
        demo.step("broken"),
        worker=observed(demo),
    )
    demo.run()
    told = [(event["kind"], event.get("step"), event.get("state", "")) for event in events(demo)]
    assert told == [
        ("run_started", None, ""),
        ("step_started", "one", ""),
        ("step_succeeded", "one", "succeeded"),
        ("step_started", "good", ""),
        ("step_succeeded", "good", "succeeded"),
        ("step_skipped", "inner", "skipped"),
        ("step_started", "broken", ""),
        ("step_failed", "broken", "failed"),
        ("run_finished", None, "failed"),
    ]
    first = events(demo)
    assert [event["time"] for event in first] == sorted(event["time"] for event in first)
    assert {event["run"] for event in first} == {demo.infos()[0].id}
    assert {(event["project"], event["pipeline"], event["engine_run"]) for event in first} == {
        ("bench", "demo", "run 1")
    }
    record = demo.record("one")
    assert first[2]["outputs"] == {"output": [record.outputs["output"].artifact.digest]}
    assert first[4]["inputs"] == {"it": list(record.outputs["output"].digests)}
    assert first[1]["attempt"] == first[2]["attempt"] == record.attempt
    assert first[7]["message"] == "ValueError: no"
    assert first[8]["message"] == "1 failed, 1 skipped, 2 succeeded"


def test_only_what_happened_is_told(demo):
    demo.make(demo.step("one"), demo.step("late", "quiet", given=demo.out("one")), worker=observed(demo))
    demo.call("late")
    demo.call("one")
    demo.call("one")
    assert [event["kind"] for event in events(demo)] == ["run_started", "step_started", "step_succeeded"]


def test_what_is_taken_over_is_told_as_such(demo):
    demo.make(demo.step("one"), worker=observed(demo))
    demo.call("one", run="old")
    old = demo.open(run="old").run.info.id
    demo.events.unlink()
    demo.call("one", run="new", reuse=Reuse(run=old))
    kinds = [(event["kind"], event.get("message", "")) for event in events(demo)]
    assert kinds == [("run_started", ""), ("step_succeeded", f"taken over from {old}/one")]


@pytest.mark.parametrize(
    "broken",
    [
        Component(type="down"),
        Component(type="not-installed"),
        Component(type="jsonl", config={"path": "/proc/nothing/here.jsonl"}),
        Component(type="jsonl", config={"no": "such setting"}),
        Component(type="jsonl", config={"path": "${secret:absent}"}),
    ],
)
def test_an_observer_that_fails_harms_nobody(demo, broken, capfd):
    demo.make(demo.step("one"), worker=observed(demo, broken))
    assert demo.run() == {"succeeded": 1}
    assert f"turnout: the observer {broken.type} failed: " in capfd.readouterr().err
    assert [event["kind"] for event in events(demo)] == [
        "run_started",
        "step_started",
        "step_succeeded",
        "run_finished",
    ]


# the tracker


def tracked(demo, *steps):
    return demo.make(*steps, worker=Worker(tracker=Component(type="fake")))


def test_one_external_run_for_all_workers(demo):
    tracked(demo, demo.step("one"), demo.step("two", "one", given=demo.out("one")), demo.step("broken"))
    for step in ("one", "two", "broken"):
        demo.call(step)
    finish_run(demo.open())
    assert Fake.of("begin") == [(demo.infos()[0].id, True)]
    assert {batch.external_id for batch, _ in Fake.of("log")} == {"external 1"}
    assert Fake.of("finish") == [("external 1", "failed")]


def test_a_batch_names_its_points_for_good(demo):
    tracked(demo, demo.step("one"), demo.step("broken"))
    demo.call("one")
    demo.call("broken")
    demo.call("broken")
    batches = [batch for batch, _ in Fake.of("log")]
    attempts = [attempt.id for step in ("one", "broken") for attempt in demo.attempts(step)]
    assert [(batch.step, batch.index, batch.attempt) for batch in batches] == [
        ("one", None, attempts[0]),
        ("broken", None, attempts[1]),
        ("broken", None, attempts[2]),
    ]
    names = {
        (batch.run.id, batch.step, batch.index, batch.attempt, p.sequence) for batch in batches for p in batch.points
    }
    assert len(names) == sum(len(batch.points) for batch in batches) == 3
    assert Fake.of("log")[0][1] == {"settings": ["value.json"]}


def test_a_second_call_sends_nothing_again(demo):
    tracked(demo, demo.step("one"))
    demo.call("one")
    demo.call("one")
    assert len(Fake.of("log")) == 1


def test_a_step_that_logs_nothing_does_not_reach_the_tracker(demo):
    tracked(demo, demo.step("quiet"))
    demo.call("quiet")
    assert Fake.calls == []


def test_workers_at_once_elect_one(demo):
    tracked(demo, demo.step("one"))
    run = demo.open().run.info
    found, barrier = [], threading.Barrier(6)

    def work():
        session = demo.open()
        barrier.wait()
        found.append(session.tracking.external_id(session.components.tracker))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Fake.of("begin") == [(run.id, True)]
    assert found == ["external 1"] * 6


def test_where_the_elected_one_died_another_looks_for_the_run(demo, monkeypatch):
    tracked(demo, demo.step("one"))
    session = demo.open()
    claim = session.run.store.create
    claim(tracking.layout.tracker("bench", session.run.info.id, "claim"), b'{"time": "2026-01-01T00:00:00.000000Z"}')
    monkeypatch.setattr(
        tracking.time, "sleep", lambda seconds: pytest.fail("the claim is old: there is nothing to wait for")
    )
    demo.call("one")
    demo.call("one")
    assert Fake.of("begin") == [(session.run.info.id, False)]
    assert len(Fake.of("log")) == 1


def test_a_fresh_claim_is_waited_for(demo, monkeypatch):
    tracked(demo, demo.step("one"))
    session = demo.open()
    assert session.run.store.create(
        tracking.layout.tracker("bench", session.run.info.id, "claim"),
        json.dumps({"time": tracking.clock.now()}).encode(),
    )
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            session.run.store.create(tracking.layout.tracker("bench", session.run.info.id, "id"), b'"from elsewhere"')

    monkeypatch.setattr(tracking.time, "sleep", sleep)
    demo.call("one")
    assert len(waits) == 2
    assert Fake.of("begin") == []
    assert Fake.of("log")[0][0].external_id == "from elsewhere"


@pytest.mark.parametrize("down", [{"begin"}, {"log"}, {"finish"}, {"begin", "log", "finish"}])
def test_a_tracker_that_is_down_fails_no_step_and_holds_nobody_up(demo, down, capfd, monkeypatch):
    monkeypatch.setattr(Fake, "down", down)
    monkeypatch.setattr(tracking.time, "sleep", lambda seconds: pytest.fail("it waits"))
    tracked(demo, demo.step("one"), demo.step("two", "one"))
    assert demo.run() == {"succeeded": 2}
    assert "turnout: the tracker fake failed: " in capfd.readouterr().err
    assert [point.value for point in demo.record("one").logged.points] == [0.5]


def test_a_tracker_that_comes_back_is_asked_to_look_for_the_run(demo, monkeypatch):
    monkeypatch.setattr(Fake, "down", {"begin"})
    tracked(demo, demo.step("one"), demo.step("two", "one"))
    demo.call("one")
    monkeypatch.setattr(Fake, "down", set())
    demo.call("two")
    assert [claimed for _, claimed in Fake.of("begin")] == [True, False]
    assert [batch.step for batch, _ in Fake.of("log")] == ["two"]


def test_a_tracker_that_is_not_installed_here(demo, capfd):
    demo.make(demo.step("one"), worker=Worker(tracker=Component(type="elsewhere")))
    assert demo.run() == {"succeeded": 1}
    assert "turnout: the tracker elsewhere failed: unknown tracker 'elsewhere'" in capfd.readouterr().err
