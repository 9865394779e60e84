"""A tracker that is down: no run fails for it unless the stack requires it, and what it missed is sent later."""

from __future__ import annotations

from typing import ClassVar

import pytest
from click.testing import CliRunner

from turnout import builtin
from turnout.api.run import Run
from turnout.api.sync import sync
from turnout.api.workspace import Workspace
from turnout.base.errors import ConfigError
from turnout.cli.runs import runs as runs_command
from turnout.components.hookspecs import hookimpl
from turnout.components.orchestrator import RunStatus
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker, TrackerConfig
from turnout.model.plan import Component, Worker
from turnout.model.records import Reuse
from turnout.project.project import load
from turnout.runtime.finish import finish_run

SOURCE = """
    from turnout import log_artifact, log_metric, log_params

    def one(given=None):
        log_metric("loss", 0.5)
        log_metric("loss", 0.25)
        log_params({"depth": 6})
        log_artifact("note", "fine")
        return 1

    def far():
        for x in (1, 2**63, 2):
            log_metric("loss", 0.5, x=x)
        return 1

    def broken():
        log_metric("loss", 0.75)
        raise ValueError("no")
"""


class Ledger(Tracker[TrackerConfig]):
    """Keeps points by their names, so that a second sending shows only where it should not."""

    name = "ledger"
    Config = TrackerConfig
    down: ClassVar[bool] = False
    begun: ClassVar[list[bool]] = []
    batches: ClassVar[list[tuple[str, str]]] = []
    points: ClassVar[dict[tuple, float]] = {}
    ends: ClassVar[list[str]] = []

    def _answer(self):
        if Ledger.down:
            raise ConnectionError("nobody answers")

    def begin(self, run, *, claimed):
        self._answer()
        Ledger.begun.append(claimed)
        return f"in the ledger: {run.id}"

    def log(self, batch):
        self._answer()
        assert all(path.is_dir() for path in batch.artifacts.values())
        Ledger.batches.append((batch.step, batch.attempt))
        for point in batch.held:
            Ledger.points[batch.external_id, batch.step, batch.index, batch.attempt, point.sequence] = point.value
        batch.refuse_rest("the ledger")

    def finish(self, run, external_id, state):
        self._answer()
        Ledger.ends.append(state)


class Plugin:
    @hookimpl
    def turnout_trackers(self):
        return (Ledger,)


@pytest.fixture
def demo(bench, monkeypatch):
    for name, value in (("down", False), ("begun", []), ("batches", []), ("points", {}), ("ends", [])):
        monkeypatch.setattr(Ledger, name, value)
    bench.write(SOURCE)
    bench.registry = Registry([builtin, Plugin()])
    return bench


def tracked(demo, *steps, **config):
    return demo.make(*steps, worker=Worker(tracker=Component(type="ledger", config=config)))


def found(demo, run="run 1", tracker="{type: ledger}"):
    (demo.root / "stack.yaml").write_text(
        f"extends: local\nartifact_store: {{root: ../store}}\ntracker: {tracker}\n", encoding="utf-8"
    )
    workspace = Workspace(load(demo.root), str(demo.root / "stack.yaml"), demo.registry)
    return Run(demo.open(run=run).run.info.id, workspace=workspace)


def test_a_run_goes_on_without_its_tracker_and_is_sent_later(demo, capfd):
    tracked(demo, demo.step("one"), demo.step("broken"))
    Ledger.down = True
    assert demo.run() == {"succeeded": 1, "failed": 1}
    assert "turnout: the tracker ledger failed: nobody answers" in capfd.readouterr().err
    assert Ledger.points == {}
    Ledger.down = False
    run = found(demo)
    done = sync(run)
    assert done == ("ledger", f"in the ledger: {run.id}", 2, "failed", ())
    assert sorted(Ledger.points.values()) == [0.25, 0.5, 0.75]
    assert {(step, attempt) for step, attempt in Ledger.batches} == {
        (step, demo.attempts(step)[0].id) for step in ("one", "broken")
    }
    assert (Ledger.begun, Ledger.ends) == ([False], ["failed"])


def command(demo, monkeypatch, *words):
    """What a command about runs prints, and its exit code."""
    from turnout.api import workspace

    monkeypatch.chdir(demo.root)
    monkeypatch.setattr(workspace, "discover", lambda: demo.registry)
    done = CliRunner().invoke(runs_command, [*words, "--stack", str(demo.root / "stack.yaml")], catch_exceptions=False)
    return done.output, done.exit_code


def test_what_a_tracker_did_not_take_is_told_with_the_command_that_sends_it(demo, monkeypatch):
    tracked(demo, demo.step("one"), demo.step("broken"))
    demo.call("one")
    Ledger.down = True
    demo.call("broken")
    finish_run(demo.open())
    run = found(demo)
    assert [str(one) for one in run.missed] == [
        "what broken logged: nobody answers",
        "the end of the run: nobody answers",
    ]
    said, _ = command(demo, monkeypatch, "show", run.id)
    assert "the tracker ledger did not take what broken logged: nobody answers" in said
    assert f"turnout runs sync {run.id[:8]} --stack" in said
    Ledger.down = False
    assert command(demo, monkeypatch, "sync", run.id)[1] == 0
    assert (run.missed, Ledger.ends) == ((), ["failed"])
    assert "sync" not in command(demo, monkeypatch, "show", run.id)[0]


@pytest.mark.parametrize("required", [False, True])
def test_a_point_that_the_tracker_can_never_take_costs_itself_alone(demo, monkeypatch, required):
    tracked(demo, demo.step("far"), demo.step("one"), required=required)
    assert demo.run() == {"succeeded": 2}
    assert sorted(Ledger.points.values()) == [0.25, 0.5, 0.5, 0.5]
    run, before = found(demo), dict(Ledger.points)
    (only,) = run.missed
    assert str(only).startswith(
        "what far logged: the ledger cannot hold the point loss of far at x=9223372036854775808"
    )
    assert only.final
    said, code = command(demo, monkeypatch, "sync", run.id)
    assert code == 1
    assert "has all but this that the run" in said
    assert (Ledger.points, Ledger.ends) == (before, ["succeeded", "succeeded"])
    assert "runs sync" not in command(demo, monkeypatch, "show", run.id)[0]


def test_a_run_that_its_engine_ended_unmarked_is_closed(demo, monkeypatch):
    """A time limit of the engine's own skips the end; without a tracker as with one."""
    tracked(demo, demo.step("one"), demo.step("broken"))
    for step in ("one", "broken"):
        demo.call(step)
    run = found(demo)
    monkeypatch.setattr(type(run.workspace), "ask_engine", lambda *_: RunStatus(state="failed"))
    assert "local has not marked its end" in command(demo, monkeypatch, "show", run.id)[0]
    assert Ledger.ends == []
    assert "the run's state: failed" in command(demo, monkeypatch, "sync", run.id)[0]
    assert (Ledger.ends, run.marked) == (["failed"], True)
    demo.make(demo.step("one"), demo.step("broken"))
    demo.call("one", run="run 2")
    run = found(demo, "run 2", tracker="{type: none}")
    assert command(demo, monkeypatch, "sync", run.id) == (f"the end of the run {run.id} is marked: failed\n", 0)
    with pytest.raises(ConfigError, match="was made without a tracker"):
        sync(run)


def test_a_second_sending_names_the_same_points(demo):
    tracked(demo, demo.step("one"), demo.step("broken"))
    demo.run()
    before = dict(Ledger.points)
    assert len(before) == 3
    sync(found(demo))
    sync(found(demo))
    assert Ledger.points == before
    assert Ledger.begun == [True]


def test_what_was_sent_in_part_is_completed(demo):
    tracked(demo, demo.step("one"), demo.step("two", "one"))
    demo.call("one")
    Ledger.down = True
    demo.call("two")
    assert len(Ledger.points) == 2
    Ledger.down = False
    sync(found(demo))
    assert len(Ledger.points) == 4
    assert Ledger.ends == ["succeeded"]  # all is committed, though no engine has marked the end


def test_what_is_taken_over_reaches_the_tracker(demo):
    tracked(demo, demo.step("one"))
    demo.run(run="old")
    demo.run(run="new", reuse=Reuse(run=demo.open(run="old").run.info.id))
    assert sorted(Ledger.points.values()) == [0.25, 0.25, 0.5, 0.5]


def test_a_tracker_that_is_required_fails_the_step(demo, capfd):
    tracked(demo, demo.step("one"), required=True)
    Ledger.down = True
    result = demo.call("one")
    assert (result.state, result.retryable) == ("failed", True)
    assert result.message.splitlines() == [
        "the tracker ledger failed: nobody answers",
        "  why: the stack says that the tracker is required",
        "  fix: see that the tracker can be reached; then run the step again",
    ]
    assert demo.record("one") is None
    (attempt,) = demo.attempts("one")
    assert (attempt.state, attempt.failure.message) == ("failed", result.message)
    assert len(attempt.logged.points) == 2
    assert "the tracker ledger failed" in capfd.readouterr().err
    Ledger.down = False
    assert demo.call("one").state == "succeeded"
    assert len(Ledger.batches) == 1
    sync(found(demo, tracker="{type: ledger, required: true}"))
    assert len(Ledger.points) == 4  # those of the first attempt, too


def test_a_tracker_that_is_required_fails_what_is_taken_over(demo):
    tracked(demo, demo.step("one"), required=True)
    demo.run(run="old")
    old = demo.open(run="old").run.info.id
    Ledger.down = True
    result = demo.call("one", run="new", reuse=Reuse(run=old))
    assert (result.state, result.retryable) == ("failed", True)
    assert demo.record("one", run="new") is None


def test_a_step_that_logs_nothing_needs_no_tracker(demo):
    demo.write("def quiet():\n    return 1\n")
    tracked(demo, demo.step("quiet"), required=True)
    Ledger.down = True
    assert demo.run() == {"succeeded": 1}


def test_a_step_that_fails_by_itself_says_why(demo):
    tracked(demo, demo.step("broken"), required=True)
    Ledger.down = True
    assert demo.call("broken").message == "ValueError: no"


@pytest.mark.parametrize(
    ("planned", "now", "text"),
    [
        ("none", "{type: ledger}", "was made without a tracker"),
        ("ledger", "{type: none}", "goes with the tracker ledger, the stack stack has none"),
    ],
)
def test_a_run_without_that_tracker_cannot_be_sent(demo, planned, now, text):
    demo.make(demo.step("one"), worker=Worker(tracker=Component(type=planned)))
    demo.run()
    with pytest.raises(ConfigError, match=text):
        sync(found(demo, tracker=now))


def test_the_command_says_what_it_did(demo, monkeypatch):

    tracked(demo, demo.step("one"))
    demo.run()
    run = found(demo)
    assert run.external_id == f"in the ledger: {run.id}"
    assert f"tracker    ledger: in the ledger: {run.id}\n" in command(demo, monkeypatch, "show", run.id)[0]
    said, _ = command(demo, monkeypatch, "sync", run.id)
    assert said.splitlines() == [
        f"the tracker ledger has all that the run {run.id} logged: in the ledger: {run.id}",
        "batches sent: 1; the run's state: succeeded",
    ]
