"""The sample plugin is found as anyone's, imports what a plugin may, and carries a whole stack."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from turnout.components.registry import KINDS, discover

SOURCE = Path(__file__).parents[1] / "sample_plugin" / "src" / "turnout_specimen"
TURNOUT = str(Path(sys.executable).with_name("turnout"))

PIPELINE = """\
import os

from turnout import log_metric, pipeline, step
from turnout_specimen.materializer import Specimen


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def square(number: int) -> int:
    log_metric("square", number * number)
    return number * number


@step(secrets={"PASSWORD": "db"})
def collect(squares: list[int]) -> Specimen:
    print("with", os.environ["PASSWORD"])
    return Specimen(squares)


@pipeline
def everything(count: int = 3):
    collect(square.map(numbers(count)))
"""

STACK = """\
extends: local
orchestrator: {{type: {orchestrator}, {logs}: {folder}/logs}}
artifact_store: {{type: specimen, root: {folder}/store.db}}
tracker: {{type: specimen, folder: {folder}/tracked}}
observers: [{{type: specimen, folder: {folder}/events}}]
secrets: {{type: specimen, file: {folder}/secrets.json}}
policies: [{{type: specimen, retries: 0}}]
"""


def test_it_brings_one_of_each_kind():
    registry = discover()
    assert [problem for problem in registry.problems if problem.plugin == "specimen"] == []
    for kind in KINDS:
        assert registry.distribution(kind, "specimen") == "turnout-specimen"


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports_the_plugin_api_and_nothing_else_of_turnout(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    assert {name for name in names if name.partition(".")[0] == "turnout"} <= {"turnout.plugin_api"}


@pytest.mark.parametrize(("orchestrator", "logs"), [("local", "logs"), ("specimen", "folder")])
def test_a_stack_of_its_components_runs(orchestrator, logs, tmp_path):
    root = tmp_path / "project"  # what lies in it is the run's code
    (root / "stacks").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'sampled'\nversion = '1'\ndependencies = []\n")
    (root / "everything.py").write_text(PIPELINE)
    (tmp_path / "secrets.json").write_text('{"db": "hunter2"}')
    (root / "stacks" / "sample.yaml").write_text(STACK.format(folder=tmp_path, orchestrator=orchestrator, logs=logs))
    environ = {**os.environ, "TURNOUT_CACHE": str(tmp_path / "cache"), "TURNOUT_STACK": "sample"}

    def call(*arguments: str) -> str:
        done = subprocess.run([TURNOUT, *arguments], cwd=root, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        return done.stdout

    call("run", "everything.py", "-p", "count=4")
    assert "Specimen([0, 1, 4, 9])" in call("artifacts", "load", "latest", "collect")
    (run,) = (tmp_path / "tracked").iterdir()
    attempts = [json.loads(path.read_text()) for path in run.glob("attempts/*.json")]
    found = {one["step"]: [value for _, _, value in one["points"].values()] for one in attempts}
    assert found == {"square/0": [0], "square/1": [1], "square/2": [4], "square/3": [9]}
    assert json.loads((run / "state.json").read_text()) == "succeeded"
    kinds = [json.loads(path.read_text())["kind"] for path in sorted((tmp_path / "events").glob("*.json"))]
    assert (kinds[0], kinds[-1], kinds.count("step_succeeded")) == ("run_started", "run_finished", 6)
    assert b"hunter2" not in (tmp_path / "store.db").read_bytes()
    assert "with [secret]" in call("runs", "logs", "latest", "collect")
