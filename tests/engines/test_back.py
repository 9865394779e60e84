"""Back to runs that kfp.local has made: a step replayed, runs of a sweep side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from installed import need
from projects import call

FLOW = """
import pandas as pd
from turnout import log_metric, pipeline, step

@step
def rooms(count: int) -> pd.DataFrame:
    return pd.DataFrame({"number": range(count)})

@step
def parts(rooms: pd.DataFrame) -> list[int]:
    return [1, len(rooms) - 3]

@step
def share(part: int) -> float:
    log_metric("share", 6 / part)
    return 6 / part

@pipeline
def flow(count: int = 3):
    share.map(parts(rooms(count)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    need("kfp", "2.17")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "back"\nversion = "1"\n')
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "stack.yaml").write_text("extends: local\norchestrator: {type: kubeflow-local}\n")
    return tmp_path


def told(folder: Path, *words: str) -> tuple[int, Any]:
    done = call(folder, *words, "--json", TURNOUT_STACK="stack.yaml")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_steps_of_another_engine_are_replayed_from_the_store(folder: Path) -> None:
    code, run = told(folder, "run", "flow.py")
    assert code == 1
    code, found = told(folder, "debug", run["run"], "share.1")
    assert (code, found["state"], found["recorded"]) == (1, "failed", "failed")
    assert "ZeroDivisionError" in found["traceback"]
    code, found = told(folder, "debug", run["run"], "rooms")
    assert (code, found["equal"]) == (0, True)


def test_a_sweep_runs_there_and_its_tables_are_compared(folder: Path) -> None:
    code, sweep = told(folder, "run", "flow.py", "--sweep", "count=4,5", "--max-parallel", "2")
    assert code == 0
    assert [run["params"] for run in sweep["runs"]] == [{"count": 4}, {"count": 5}]
    _, compared = told(folder, "runs", "compare", *(run["run"] for run in sweep["runs"]))
    rows = {(row["what"], row["name"]): row["values"] for row in compared["rows"]}
    assert rows["data", "rooms.output: rows"] == [4, 5]
    assert rows["data", "rooms.output.number: highest"] == [3, 4]
