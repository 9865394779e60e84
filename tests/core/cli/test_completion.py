"""What a shell offers while someone types."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINES = '''
from turnout import pipeline, step


@step
def one() -> int:
    """The first number."""
    return 1


@pipeline
def single():
    """One step."""
    one()
'''
SCRIPT = Path(sys.executable).with_name("turnout")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TURNOUT_STACK", "TURNOUT_STORE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'words'\nversion = '0'\n")
    (tmp_path / "single.py").write_text(PIPELINES)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "pair.py").write_text(PIPELINES + "\n\n@pipeline(tags={'a': 'b'})\ndef second():\n    one()\n")
    (tmp_path / "broken.py").write_text("@pipeline\ndef (")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "prod.yaml").write_text("extends: local\n")
    return tmp_path


def offered(project: Path, *words: str) -> list[str]:
    """What bash is told when the last of the words is being typed."""
    environ = {
        **os.environ,
        "_TURNOUT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([SCRIPT], cwd=project, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_options(project: Path) -> None:
    assert offered(project, "turnout", "expo") == ["export"]
    assert "--stack" in offered(project, "turnout", "run", "x.py", "--st")


def test_pipelines_by_file_and_by_name_where_there_are_more(project: Path) -> None:
    assert offered(project, "turnout", "run", "") == ["single.py", "more/pair.py:single", "more/pair.py:second"]
    assert offered(project, "turnout", "run", "si") == ["single.py"]


def test_stacks_runs_and_steps(project: Path) -> None:
    assert {"local", "prod"} <= {*offered(project, "turnout", "run", "single.py", "--stack", "")}
    assert offered(project, "turnout", "runs", "show", "") == ["latest"]
    subprocess.run([SCRIPT, "run", "single.py"], cwd=project, capture_output=True, check=True)
    latest, run = offered(project, "turnout", "runs", "show", "")
    assert latest == "latest"
    assert offered(project, "turnout", "runs", "logs", run, "") == ["one"]
    assert offered(project, "turnout", "runs", "logs", "no-such-run", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str, project: Path) -> None:
    done = subprocess.run([SCRIPT, "completion", shell], cwd=project, capture_output=True, text=True, check=True)
    assert f"_TURNOUT_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_itself_completes(project: Path) -> None:
    script = (
        'eval "$(turnout completion bash)"; COMP_WORDS=(turnout run single.py --stack p); COMP_CWORD=4; '
        '_turnout_completion turnout; echo "${COMPREPLY[@]}"'
    )
    environ = {**os.environ, "PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=project, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "prod\n"
