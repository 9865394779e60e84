"""A call of the runtime as an engine makes it: what it comes to where the step's process dies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from turnout.engines.calling import LOGS, Exit, call, step_command

SOURCE = """
    import os, signal, time

    def one():
        return 1

    def talk():
        print('{"state": "printed by the step"}')
        print('{"state":"succeeded"}\\n')
        print("last words", end="")

    def vanish():
        print("about to vanish")
        os.kill(os.getpid(), signal.SIGKILL)

    def leave():
        os._exit(7)

    def endless():
        time.sleep(600)
"""


@pytest.fixture
def demo(bench, monkeypatch, tmp_path):
    bench.write(SOURCE)
    bench.make(*map(bench.step, ("one", "talk", "vanish", "leave", "endless")))
    for name, value in {**bench.store.environment(), LOGS: str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return bench


@pytest.mark.parametrize(
    ("step", "timeout", "kind", "message"),
    [
        ("vanish", None, "ProcessDied", "vanish: its process was killed by SIGKILL (out of memory?)"),
        ("leave", None, "ProcessDied", "leave: its process ended with exit code 7"),
        ("endless", 1.5, "Timeout", "endless was stopped at its timeout of 1.5 seconds"),
    ],
)
def test_a_step_that_dies_is_on_record_as_failed(demo, tmp_path: Path, step, timeout, kind, message):
    assert call(demo.plan.digest, "run 1", step=step, timeout=timeout).code == Exit.RETRY
    (attempt,) = demo.attempts(step)
    assert attempt.failure is not None
    assert (attempt.state, attempt.failure.type, attempt.failure.message) == ("failed", kind, message)
    assert attempt.started < attempt.ended
    assert demo.record(step) is None
    assert (tmp_path / f"{step}.log").read_text().endswith(f"turnout: {message}\n")


def test_the_log_of_a_step_has_what_the_step_printed_and_no_outcome(demo, tmp_path: Path):
    assert call(demo.plan.digest, "run 1", step="talk").code == Exit.COMMITTED
    said = '{"state": "printed by the step"}\n{"state":"succeeded"}\n\nlast words\n'
    assert (tmp_path / "talk.log").read_text() == said
    assert call(demo.plan.digest, "run 1", step="one").code == Exit.COMMITTED
    assert (tmp_path / "one.log").read_text() == ""


def test_a_step_that_dies_after_its_commit_has_not_failed(demo):
    """Nothing is written of it, and its record is the answer."""
    assert demo.call("one").state == "succeeded"
    words = step_command(demo.plan.digest, "run 1", "one")
    words[words.index("step")] = "lost"
    more = ("--started", "2026-01-31T12:00:00.000000Z", "--kind", "ProcessDied", "--message", "gone")
    done = subprocess.run([*words, *more], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.COMMITTED, done.stderr
    (attempt,) = demo.attempts("one")
    assert attempt.state == "succeeded"
