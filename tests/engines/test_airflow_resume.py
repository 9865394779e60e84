"""A run that failed on a live Airflow, gone on with from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import Project

SOURCE = """
from pathlib import Path
from turnout import pipeline, step

def tell(scratch, name):
    with open(Path(scratch, "told"), "a") as file:
        file.write(f"{name}\\n")

@step
def first(scratch: str) -> list[int]:
    tell(scratch, "first")
    return [1, 2]

@step
def fragile(number: int, scratch: str) -> int:
    tell(scratch, f"fragile.{number}")
    if number == 2 and not Path(scratch, "mended").exists():
        raise ConnectionError("not today")
    return 10 * number

@step
def last(numbers: list[int], scratch: str) -> int:
    tell(scratch, "last")
    return sum(numbers)

@pipeline
def flow(scratch: str):
    last(fragile.map(first(scratch), scratch=scratch), scratch)
"""


def test_a_failed_run_goes_on_by_its_own_plan_where_it_failed(airflow_server: Any, tmp_path: Path) -> None:
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    for folder in (source, scratch):
        folder.mkdir()
    (source / "pyproject.toml").write_text("[project]\nname = 'again'\nversion = '1'\n")
    (source / "flow.py").write_text(SOURCE)
    project = Project(source, tmp_path / "project", tmp_path / "cache")
    project.stack("airflow", airflow_server.orchestrator)
    project.call("run", "flow.py", "-p", f"scratch={scratch}", "--stack", "airflow", code=1)
    (project.folder / "flow.py").write_text(SOURCE.replace("10 * number", "0"))
    (scratch / "mended").touch()
    done = json.loads(project.call("runs", "resume", "latest", "--stack", "airflow", "--json"))
    assert done["state"] == "succeeded"
    assert project.call("artifacts", "load", done["run"], "last", "--stack", "airflow").strip() == "30"
    told = sorted((scratch / "told").read_text().split())
    assert told == ["first", "fragile.1", "fragile.2", "fragile.2", "last"]
    (step,) = [one for one in done["steps"] if (one["step"], one["index"]) == ("fragile", 1)]
    assert (step["state"], step["attempts"]) == ("succeeded", 2)
    again = project.call("runs", "resume", done["run"], "--stack", "airflow")
    assert "has succeeded: there is nothing left to run" in again
