"""Replays: a step of a run once more, as it was, from any store, leaving that store as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from projects import write_project

FLOW = """\
import os
import sys

import helpers
from turnout import File, log_metric, pipeline, step, when


@step
def read(path: File) -> str:
    return path.read_text()


@step(env=["REGION"], files=["note.txt"])
def count(text: str, *, times: int) -> int:
    print("counting", file=sys.stdout)
    with open("note.txt") as note:
        log_metric("length", len(text) * times)
        return helpers.size(text) * times + len(note.read()) + len(os.environ.get("REGION", ""))


@step
def unlike(text: str) -> float:
    return os.getpid() + 0.5


@step
def parts(text: str) -> list[int]:
    return [1, 2, 0]


@step
def share(part: int) -> float:
    whole = 6
    return whole / part


@step
def never(number: int) -> int:
    return number


@pipeline
def flow(path: File = "data.txt", times: int = 2):
    text = read(path)
    number = count(text, times=times)
    unlike(text)
    share.map(parts(text))
    with when(number > 1000):
        never(number)
"""
HELPERS = "def size(text):\n    return len(text)\n"


class Project:
    """A project whose flow has run once, and failed at one element of a map."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = {"flow.py": FLOW, "helpers.py": HELPERS, "data.txt": "some data", "note.txt": "12345"}
        write_project(root, files, name="flows")

    def turnout(self, *arguments: str, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "turnout.cli", *arguments],
            cwd=self.root,
            env={**os.environ, **environ},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def replay(self, step: str, *arguments: str, **environ: str) -> dict:
        done = self.turnout("debug", "latest", step, "--json", *arguments, **environ)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def files(self) -> dict[str, tuple[int, int]]:
        store = self.root / ".turnout" / "store"
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in store.rglob("*") if path.is_file()
        }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("flows"))
    done = made.turnout("run", "flow.py", REGION="north")
    assert done.returncode == 1, done.stderr
    return made


def test_a_replay_gives_what_was_recorded_and_writes_nothing_to_the_store(project):
    before = project.files()
    found = project.replay("count", REGION="elsewhere")
    assert (found["state"], found["recorded"], found["equal"]) == ("succeeded", "succeeded", True)
    assert found["outputs"]["output"]["digests"] == found["outputs"]["output"]["recorded"]
    assert [(one["name"], one["value"]) for one in found["logged"]["points"]] == [("length", 18)]
    assert project.files() == before


def test_a_value_that_comes_out_otherwise_is_said_to_differ(project):
    found = project.replay("unlike")
    assert found["equal"] is False
    done = project.turnout("debug", "latest", "unlike")
    assert done.returncode == 0
    assert "which DIFFERS from the recorded" in done.stdout


def test_a_failed_element_fails_again_with_the_users_own_frames(project):
    before = project.files()
    done = project.turnout("debug", "latest", "share.2")
    assert done.returncode == 1
    assert "share.2 of the run" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert 'File "flow.py", line' in done.stdout
    assert "site-packages" not in done.stdout
    assert "execution.py" not in done.stdout
    assert project.replay("share.1")["equal"] is True
    assert project.files() == before


def test_the_debugger_opens_where_the_step_failed(project):
    done = project.turnout("debug", "latest", "share.2", "--pdb", given="p whole * 7\nq\n")
    assert done.returncode == 1
    assert "42" in done.stdout
    assert "(Pdb)" in done.stdout


def test_the_code_is_the_runs_unless_todays_is_asked_for(project):
    helpers = project.root / "helpers.py"
    try:
        helpers.write_text("def size(text):\n    return 100 * len(text)\n")
        assert project.replay("count")["equal"] is True
        found = project.replay("count", "--code", "here")
        assert (found["code"], found["state"], found["equal"]) == ("here", "succeeded", False)
        helpers.write_text("def size(text):\n    raise LookupError('not today')\n")
        done = project.turnout("debug", "latest", "count", "--code", "here")
        assert done.returncode == 1
        assert "in the run it succeeded" in done.stdout
        assert "LookupError: not today" in done.stdout
        assert 'File "helpers.py", line 2' in done.stdout
    finally:
        helpers.write_text(HELPERS)


def test_a_guard_says_again_what_it_decided(project):
    gate = project.turnout("runs", "show", "latest", "--json")
    (name,) = (one["step"] for one in json.loads(gate.stdout)["steps"] if one["value"] is not None)
    assert project.replay(name)["value"] is False


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("never", "never was skipped in the run"),
        ("share", "share is mapped: one of its elements can be replayed"),
        ("nothing", "has no step 'nothing'"),
        ("share.9", "share has 3 elements"),
    ],
)
def test_what_cannot_be_replayed_is_refused(step, said, project):
    done = project.turnout("debug", "latest", step)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_run_names_the_command(project):
    done = project.turnout("run", "flow.py", "--no-cache")
    assert done.returncode == 1
    (command,) = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("turnout debug ")]
    assert command[3] == "share.2"
    assert project.turnout(*command[1:]).returncode == 1


def test_a_step_is_replayed_in_python(project, monkeypatch):
    import turnout

    monkeypatch.chdir(project.root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in ("flow", "helpers"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    before = project.files()
    run = turnout.Run("latest")
    assert run["count"].debug() == 9 * 2 + 5
    with pytest.raises(ZeroDivisionError):
        run["share.2"].debug()
    assert project.files() == before
    for module in ("flow", "helpers"):
        sys.modules.pop(module, None)


def test_a_step_taken_over_from_another_run_is_replayed_as_it_ran_there(project):
    done = project.turnout("run", "flow.py", "--reuse", "latest", "-p", "times=7")
    assert done.returncode == 1
    found = project.replay("count")
    assert found["equal"] is True
    assert found["run"] not in done.stdout
