"""What steps print is shown as it comes, on engines that run on this machine; what the engine prints around it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from commands import Project

FLOW = """\
import time
from pathlib import Path

from turnout import pipeline, step


@step
def talk(gate: str) -> list[int]:
    print("begun")
    while not Path(gate).exists():
        time.sleep(0.05)
    print("and gone on", end="")
    return [1, 2]


@step
def each(number: int) -> int:
    print("element", number)
    return number


@step
def broken(numbers: list[int]) -> int:
    print("last words")
    raise ValueError(sum(numbers))


@pipeline
def flow(gate: str):
    broken(each.map(talk(gate)))
"""


@pytest.mark.parametrize("engine", ["kubeflow-local", "beam"])
def test_lines_are_shown_while_the_step_runs(engine: str, tmp_path: Path) -> None:
    source, gate = tmp_path / "source", tmp_path / "gate"
    source.mkdir()
    (source / "flow.py").write_text(FLOW)
    (source / "pyproject.toml").write_text('[project]\nname = "logs"\nversion = "1"\ndependencies = []\n')
    project = Project(source, tmp_path / "project", tmp_path / "cache")
    project.stack("here", {"type": engine})
    with project.start("run", "flow.py", "--stack", "here", "--logs", "-p", f"gate={gate}") as run:
        try:
            lines = list(_until("talk      | begun", run))
            (listed,) = project.json("runs", "list", "--stack", "here")
            assert listed["state"] == "running"
            with project.start("runs", "logs", listed["run"], "-f", "--stack", "here") as follower:
                try:
                    followed = list(_until("talk | begun", follower))
                    gate.touch()
                    followed += _rest(follower)
                finally:
                    follower.kill()
            lines += _rest(run)
        finally:
            gate.touch()
            run.kill()
    assert (run.returncode, follower.returncode) == (1, 0)
    assert lines.index("talk      | and gone on") < next(n for n, line in enumerate(lines) if "succeeded" in line)
    assert {"each.0    | element 1", "each.1    | element 2", "broken    | last words"} <= {*lines}
    ended = next(n for n, line in enumerate(lines) if line.startswith(f"run {listed['run']} failed"))
    assert lines.index("broken    | ValueError: 3") < ended
    assert not [line for line in lines + followed if '"state"' in line], "the outcome is for the engine"
    assert {"talk | begun", "talk | and gone on", "each.0 | element 1", "broken | ValueError: 3"} <= {*followed}
    assert project.call("runs", "logs", listed["run"], "talk", "--stack", "here") == "begun\nand gone on\n"


def _until(line: str, process: Popen[str]) -> Iterator[str]:
    """The lines of a process up to this one."""
    assert process.stdout is not None
    for text in process.stdout:
        yield text.strip()
        if text.strip() == line:
            return
    raise AssertionError(f"{line!r} was not printed")


def _rest(process: Popen[str]) -> list[str]:
    printed, _ = process.communicate(timeout=300)
    return [line.strip() for line in printed.splitlines()]
