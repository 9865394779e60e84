"""What steps print: shown as it comes, by `turnout run --logs` and `turnout runs logs -f`, and read afterwards."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import TURNOUT, call, call_here, entered, write
from rich.console import Console

from turnout.api.log_tail import LogTail
from turnout.api.run import Run
from turnout.base.errors import ArtifactError
from turnout.cli import live

FLOW = """\
import sys
import time
from pathlib import Path

from turnout import pipeline, step


@step
def talk(gate: str) -> list[int]:
    print("begun", end="")
    sys.stdout.flush()
    while gate and not Path(gate).exists():
        time.sleep(0.05)
    print(" and gone on")
    return [1, 2]


@step(cache=True)
def each(number: int) -> int:
    print("element", number)
    return number


@step
def quiet(numbers: list[int]) -> int:
    return sum(numbers)


@step
def broken(total: int) -> int:
    print("last words")
    raise ValueError(total)


@pipeline
def flow(gate: str = ""):
    broken(quiet(each.map(talk(gate))))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run that failed; its elements are from the cache in later ones."""
    folder = tmp_path_factory.mktemp("logs")
    pyproject = "[project]\nname = 'logs'\nversion = '0'\ndependencies = []\n"
    write(folder / "logs", {"pyproject.toml": pyproject, "talking.py": FLOW})
    with entered(folder / "logs"):
        call_here("run", "talking.py", code=1)
    return folder / "logs"


@pytest.fixture
def inside(project: Path) -> Iterator[Path]:
    with entered(project):
        yield project


def test_lines_are_shown_while_the_step_runs_and_before_its_end_is_told(project: Path, tmp_path: Path) -> None:
    gate, printed = tmp_path / "gate", []
    command = [*TURNOUT, "run", "talking.py", "--logs", "-p", f"gate={gate}"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            printed.append(re.sub(r"^\d\d:\d\d:\d\d", "TIME    ", line.rstrip()))
            if printed[-1].endswith("| begun"):
                gate.touch()
    assert run.returncode == 1
    talk = [line for line in printed[1 : printed.index("")] if " talk " in line]
    assert [re.sub(r"\d+\.\d s|\s+", " ", line).strip() for line in talk] == [
        "TIME talk running",
        "talk | begun",
        "talk | begun and gone on",
        "TIME talk succeeded",
    ]
    assert any(re.search(r"broken +\| last words", line) for line in printed)
    assert not any("| element" in line for line in printed), "what is from the cache printed nothing now"


def test_another_process_follows_a_run_to_its_end(project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = subprocess.Popen(
        [*TURNOUT, "run", "talking.py", "-p", f"gate={gate}", "--no-cache"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        run_id = re.search(r"run (\w{20})", (run.stdout.readline() if run.stdout else "")).group(1)  # type: ignore[union-attr]
        follow = [*TURNOUT, "runs", "logs", run_id, "-f"]
        while not (project / ".turnout/store/logs/runs" / run_id / "run.json").exists():
            assert run.poll() is None
        with subprocess.Popen(follow, cwd=project, stdout=subprocess.PIPE, text=True) as followed:
            assert (followed.stdout.readline() if followed.stdout else "") == "talk | begun\n"
            gate.touch()
            lines = followed.stdout.read().splitlines() if followed.stdout else []
        run.communicate()
    assert lines[0] == "talk | begun and gone on"
    assert sorted(lines[1:3]) == ["each.0 | element 1", "each.1 | element 2"]
    assert lines[3] == "broken | last words"
    assert followed.returncode == 0


def test_what_a_run_printed_is_read_by_step_and_as_a_whole(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(min((inside / ".turnout/logs").iterdir(), key=lambda path: path.stat().st_mtime).name)
    call_here("runs", "logs", run.id)
    whole = capsys.readouterr().out
    assert whole.startswith("--- talk\nbegun and gone on\n--- each.0\nelement 1\n--- each.1\nelement 2\n--- broken\n")
    call_here("runs", "logs", run.id, "each")
    assert capsys.readouterr().out == "--- each.0\nelement 1\n--- each.1\nelement 2\n"
    call_here("runs", "logs", run.id, "each.1", "-f")
    assert capsys.readouterr().out == "element 2\n"
    assert run["talk"].printed == "begun and gone on"
    assert run["each"].printed == "element 1\nelement 2"
    call_here("runs", "logs", run.id, "-f", "--json", code=2)


def test_an_engine_without_logs_is_told_of_once(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(min((inside / ".turnout/logs").iterdir(), key=lambda path: path.stat().st_mtime).name)
    shown: list[str] = []
    engine = run.workspace.orchestrator

    def refuse(*_: object) -> Iterator[str]:
        raise ArtifactError("the engine gives out no logs")

    monkeypatch.setattr(engine, "logs", refuse)
    tail = LogTail(
        engine, run.plan, run.id, run.info.engine_run, run.workspace.store, lambda *words: shown.append(words)
    )
    tail.look()
    tail.look(ended=True)
    assert shown == []
    assert str(tail.problem) == "the engine gives out no logs"


def test_on_a_terminal_lines_stand_above_the_table(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(live, "terminal", lambda: screen)
    view = live.LiveView(Run("latest").plan)
    view._live.console = Console(file=screen, force_terminal=True, width=60)
    with view:
        view.show_line("talk", "[red]a line\x1b")
    assert "talk | " in screen.getvalue()
    assert "[red]a line\\x1b" in screen.getvalue()


def test_the_summary_says_where_it_is(project: Path) -> None:
    done = call(project, "run", "talking.py", "-p", "gate=", code=1)
    assert re.search(r"\n  turnout runs logs \w{8} broken\n", done.stdout)
