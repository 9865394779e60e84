"""Steps with an effect: never cached, and acting in runs that may only."""

import pytest

from turnout.model.records import Options, Reuse, Submission
from turnout.runtime.effects import withheld
from turnout.runtime.joining import join
from turnout.runtime.replay import perform, stage

SOURCE = """
    from pathlib import Path

    def act(path, extra=None):
        with open(path, "a") as file:
            file.write("acted;")
        return {"done": True}
"""


@pytest.fixture
def demo(bench, tmp_path):
    bench.write(SOURCE)
    bench.make(bench.step("act", path=str(tmp_path / "acts"), effect=True))
    bench.acts = tmp_path / "acts"
    return bench


def acts(demo):
    return demo.acts.read_text() if demo.acts.exists() else ""


def test_a_schedules_run_acts(demo):
    done = demo.process("step", "--step", "act")
    assert done.returncode == 0, done.stderr
    assert demo.infos()[0].effects is True
    assert acts(demo) == "acted;"
    assert demo.value("act") == {"done": True}


def test_a_run_that_is_to_change_nothing_commits_why(demo):
    done = demo.process("step", "--step", "act", TURNOUT_PARAMS='{"options": {"effects": false}}')
    assert done.returncode == 0, done.stderr
    assert demo.infos()[0].effects is False
    assert acts(demo) == ""
    found = demo.value("act")
    assert found["done"] is False
    assert found["why"] == "this run is to change nothing outside its store; `turnout run --effects` lets it"


def test_a_run_in_this_process_does_not_act(demo):
    assert demo.call("act").exit_code == 0
    assert acts(demo) == ""
    assert "not sealed" in demo.value("act")["why"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, ""),
        ({"effects": True}, ""),
        ({"reuse": Reuse(run="a" * 20, from_="act")}, f"this run takes over results of the run {'a' * 20}"),
        ({"effects": False}, "this run is to change nothing outside its store; `turnout run --effects` lets it"),
    ],
)
def test_which_runs_act(demo, options, why):
    session = join(demo.store, demo.plan.digest, "run 1", Submission(options=Options(**options)))
    assert withheld(session) == why
    session.close()


def test_a_replay_does_not_act(demo, tmp_path):
    demo.process("step", "--step", "act")
    staged = stage(demo.store, demo.plan, demo.infos()[0], ("act", None), tmp_path / "scratch")
    found = perform(staged).outputs["output"].artifact.value
    staged.session.close()
    assert found["done"] is False
    assert acts(demo) == "acted;"
