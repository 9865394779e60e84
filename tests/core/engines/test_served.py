"""``python -m turnout.runtime serve`` as an engine keeps it: one process for the steps of a run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from waiting import alive, until

from turnout.base.errors import RunError
from turnout.engines.calling import LOGS, command
from turnout.engines.executor import Executor
from turnout.engines.protocol import FORMAT, Hello
from turnout.model.expressions import Compare, Const, Ref
from turnout.plugin_api import StepResult

SOURCE = """
    import os, pathlib, signal, sys, time

    def one():
        print("said")
        return 1

    def numbers(count):
        return list(range(count))

    def keep(value):
        return value + 1

    def broken():
        raise ValueError("no")

    def vanish():
        os.kill(os.getpid(), signal.SIGKILL)

    def patient(marker):
        pathlib.Path(marker).write_text(str(os.getpid()))
        time.sleep(60)
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def executor(demo, plan=None, **environ) -> Executor:
    return Executor(plan or demo.plan.digest, "run 1", {**os.environ, **demo.store.environment(), **environ})


def test_the_outcomes_of_steps(demo, tmp_path):
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare("==", Ref("it"), Const(2)), it=demo.out("one")),
        demo.step("inner", "one", guards=("good",)),
        demo.step("numbers", lists=True, count=2),
        demo.step("keep", value=demo.each("numbers")),
        demo.step("broken"),
        demo.step("vanish"),
    )
    steps = executor(demo, **{LOGS: str(tmp_path)})
    assert steps.run("one") == StepResult(state="succeeded")
    assert (steps.run("one").adopted, steps.run("good").values) == (True, {"good": False})
    assert steps.run("inner").state == "skipped"
    assert steps.run("numbers").elements == {"output": 2}
    assert [steps.run("keep", index).state for index in range(2)] == ["succeeded"] * 2
    broken, vanished = steps.run("broken"), steps.run("vanish")
    steps.close()
    assert (broken.state, broken.retryable, broken.message) == ("failed", True, "ValueError: no")
    assert (vanished.retryable, vanished.message) == (
        True,
        "vanish: its process was killed by SIGKILL (out of memory?)",
    )
    assert [attempt.failure.type for attempt in demo.attempts("vanish")] == ["ProcessDied"]
    assert (tmp_path / "one.log").read_text() == "said\n"
    assert "ValueError: no" in (tmp_path / "broken.log").read_text()
    assert (
        tmp_path / "vanish.log"
    ).read_text() == "turnout: vanish: its process was killed by SIGKILL (out of memory?)\n"


def test_a_timeout_stops_a_step_and_leaves_an_attempt(demo, tmp_path):
    marker = tmp_path / "begun"
    demo.make(demo.step("patient", marker=str(marker)), demo.step("one"))
    steps = executor(demo)
    result = steps.run("patient", timeout=3.0)
    assert (result.state, result.retryable) == ("failed", True)
    assert result.message == "patient was stopped at its timeout of 3 seconds"
    assert [attempt.failure.type for attempt in demo.attempts("patient")] == ["Timeout"]
    assert not alive(int(marker.read_text()))
    assert steps.run("one").state == "succeeded"
    steps.close()


def test_nothing_outlives_the_engine(demo, tmp_path):
    """The engine is killed without a word: what it asked for ends with it."""
    marker = tmp_path / "begun"
    demo.make(demo.step("patient", marker=str(marker)))
    code = (
        "import os, sys; from turnout.engines.executor import Executor\n"
        f"Executor({demo.plan.digest!r}, 'run 1', os.environ).run('patient')"
    )
    engine = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **demo.store.environment()})
    until(lambda: marker.exists() and marker.read_text())
    engine.kill()
    engine.wait()
    until(lambda: not alive(int(marker.read_text())))


def test_a_run_that_cannot_be_joined_is_told(demo):
    demo.make(demo.step("one"), params=(demo.declare("n", "int"),))
    with pytest.raises(RunError, match="the parameter 'n' of demo is not given"):
        executor(demo)
    with pytest.raises(RunError, match="is not in"):
        executor(demo, plan="0" * 64)


def test_its_first_line_names_the_format(demo):
    demo.make(demo.step("one"))
    done = subprocess.run(
        command("serve", demo.plan.digest, "run 1"),
        env={**os.environ, **demo.store.environment()},
        input=b"",
        capture_output=True,
        check=True,
    )
    import msgspec

    hello = msgspec.json.decode(done.stdout, type=Hello)
    assert (hello.format, hello.failure) == (FORMAT, "")
