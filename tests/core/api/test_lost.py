"""Steps that left nothing on record: whether they failed, or were never called, only their engine knows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
from projects import HERE, IN_PROCESS, TURNOUT, answer_here, call_here, entered, write_project
from waiting import until

import turnout
from turnout.base import clock, names
from turnout.base.errors import ConfigError, TurnoutWarning
from turnout.components.orchestrator import RunStatus, StepStatus
from turnout.engines import processes
from turnout.engines.local.adapter import LocalOrchestrator
from turnout.model.records import Mark
from turnout.runtime.state import append_mark

FLOW = """\
from turnout import pipeline, step


@step
def numbers() -> list[int]:
    return [1, 2, 3]


@step
def double(number: int) -> int:
    return 2 * number // (number - 2)


@step
def fit() -> int:
    raise ValueError


@step
def after(model: int) -> int:
    return model


@pipeline
def flow():
    double.map(numbers())
    after(fit())
"""
SAID = (
    StepStatus(step="numbers", state="succeeded"),
    StepStatus(step="double", index=0, state="succeeded"),
    StepStatus(step="double", index=1, state="failed"),
    StepStatus(step="fit", state="failed", message="OOMKilled"),
    StepStatus(step="after", state="waiting"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a run of which `fit` and `double.1` left nothing, as where a pod is evicted."""
    root = tmp_path_factory.mktemp("lost") / "lost"
    write_project(root, {"flow.py": FLOW, "stacks/here.yaml": IN_PROCESS}, name="lost", dependencies=(), more=HERE)
    with entered(root):
        call_here("run", "flow.py", code=1)
        for folder in root.rglob("attempts"):
            if folder.parent.name in {"fit", "double.1"}:
                shutil.rmtree(folder)
        yield root


SLOW = """\
import time
from turnout import pipeline, step


@step
def first() -> list[int]:
    return [0, 60]


@step
def wait(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@step
def after(seconds: list[int]) -> int:
    return len(seconds)


@pipeline
def flow():
    after(wait.map(first()))
"""


def shown() -> dict[str, str]:
    """The state of each step and element of the latest run, as `runs show` has it."""
    steps = json.loads(answer_here("runs", "show", "latest", "--json").out)["steps"]
    return {names.label(step["step"], step["index"]): step["state"] for step in steps}


def test_a_step_at_work_when_the_engine_is_killed_has_failed(tmp_path):
    root = tmp_path / "killed"
    write_project(root, {"flow.py": SLOW}, name="killed", dependencies=())
    with entered(root):
        arguments = [*TURNOUT, "run", "flow.py", "--json"]
        engine = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pattern = ".turnout/store/*/runs/*/steps/wait.0/record.json"
        until(lambda: list(root.glob(pattern)) and list(root.glob(".turnout/logs/*/wait.1.log")))
        assert shown() == {"first": "succeeded", "wait.0": "succeeded", "wait.1": "running", "after": "not run"}
        engine.kill()
        engine.wait()
        assert shown()["wait.1"] == "running"  # its worker ends what it has begun
        processes.end(turnout.Run("latest").id, 0)
        for _ in range(2):
            assert shown() == {"first": "succeeded", "wait.0": "succeeded", "wait.1": "failed", "after": "not run"}
            assert (
                "local says that it failed (its engine was killed)"
                in turnout.Run("latest")["wait.1"].summary.failure.message
            )
            answer_here("runs", "sync", "latest")


def test_a_step_at_work_when_its_driver_is_killed_has_failed(tmp_path):
    root = tmp_path / "killed"
    stack = "extends: local\norchestrator: {type: specimen}\n"
    write_project(root, {"flow.py": SLOW, "stacks/here.yaml": stack}, name="killed", dependencies=(), more=HERE)
    with entered(root):
        command = subprocess.Popen([*TURNOUT, "run", "flow.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        until(lambda: list(root.glob(".turnout/specimen/*/wait.1.log")))
        assert shown() == {"first": "succeeded", "wait.0": "succeeded", "wait.1": "running", "after": "not run"}
        folder = next(root.glob(".turnout/specimen/*"))
        wanted = ["turnout.engines.drive", str(folder)]
        [driver] = [one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[-2:] == wanted]
        driver.kill()
        told, _ = command.communicate()
        assert b"specimen says that it failed (its engine was killed)" in told
        assert shown() == {"first": "succeeded", "wait.0": "succeeded", "wait.1": "failed", "after": "not run"}


def says(monkeypatch, *steps: StepStatus) -> list[str]:
    """Let the engine say this of the steps of any run; returns which runs it is asked about."""
    asked: list[str] = []

    def status(_self, _plan, engine_run):
        asked.append(engine_run)
        return RunStatus(state="failed", steps=steps)

    monkeypatch.setattr(LocalOrchestrator, "status", status)
    return asked


def states() -> dict[str, str]:
    return {part.label: part.state for step in turnout.Run("latest") for part in step.parts}


@pytest.mark.parametrize(
    "said", [SAID, (*SAID[:1], StepStatus(step="double", state="failed"), *SAID[3:])], ids=["by element", "as a whole"]
)
def test_what_the_engine_saw_fail_has_failed(project: Path, monkeypatch, capsys, said):
    asked = says(monkeypatch, *said)
    assert list(states().items()) == [
        ("numbers", "succeeded"),
        ("double.0", "succeeded"),
        ("double.1", "failed"),
        ("double.2", "succeeded"),
        ("fit", "failed"),
        ("after", "not run"),
    ]
    assert len(asked) == 1
    call_here("runs", "show", "latest", "--json")
    shown = {(one["step"], one["index"]): one for one in json.loads(capsys.readouterr().out)["steps"]}
    assert (shown["fit", None]["state"], shown["fit", None]["attempts"]) == ("failed", 0)
    assert "OOMKilled" in shown["fit", None]["error"]
    assert (shown["double", 1]["state"], shown["after", None]["state"]) == ("failed", "not run")


def test_it_is_said_in_one_line_where_its_log_is(project: Path, monkeypatch, capsys, snapshot):
    says(monkeypatch, *SAID)
    capsys.readouterr()
    call_here("runs", "show", "latest")
    call_here("runs", "show", "latest", "fit")
    out = re.sub(r"\d+\.\d s", "T s", capsys.readouterr().out)
    run = turnout.Run("latest").id
    out = out.replace(run, "RUN").replace(run[:8], "RUN")
    assert out[out.index("\n\n") :] == snapshot


def test_an_engine_that_does_not_answer_hides_nothing(project: Path, monkeypatch, capsys):
    def status(*_):
        raise ConfigError("no Airflow answers at http://localhost:1", fix="start it")

    monkeypatch.setattr(LocalOrchestrator, "status", status)
    told = "what became of double.1, fit is not known: no Airflow answers at http://localhost:1"
    with pytest.warns(TurnoutWarning, match=told):
        assert states()["fit"] == "not run"
    assert capsys.readouterr().err == ""
    call_here("runs", "show", "latest")
    assert capsys.readouterr().err == f"turnout: {told}\n"


def test_what_was_stopped_on_purpose_has_not_failed(project: Path, monkeypatch):
    """Airflow calls failed whatever it stops, and what it had not begun."""
    says(monkeypatch, *SAID)
    run = turnout.Run("latest")
    append_mark(run.workspace.store, run.info.project, run.id, Mark(kind="cancel", time=clock.now()))
    try:
        assert states()["fit"] == "not run"
    finally:
        (newest,) = [path for path in project.rglob("marks/*.json") if b'"cancel"' in path.read_bytes()]
        newest.unlink()
