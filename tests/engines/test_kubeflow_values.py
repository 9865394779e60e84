"""Tables that Arrow alone would change, from one of kfp.local's processes to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from installed import need

CASES = Path(__file__).parents[1] / "e2e" / "arriving_frames.py"
FLOW = """
from typing import Any

from arriving_frames import KINDS, difference
from turnout import pipeline, step

NAMES = [(kind, name) for kind, names in KINDS.items() if kind != "other libraries" for name in names]

@step
def make() -> list[Any]:
    return [KINDS[kind][name]() for kind, name in NAMES]

@step
def check(values: list[Any]) -> dict:
    pairs = zip(NAMES, values, strict=True)
    return {f"{kind}: {name}": difference(KINDS[kind][name](), value) for (kind, name), value in pairs}

@pipeline
def flow():
    check(make())
"""


def test_tables_arrive_as_they_were_returned(tmp_path: Path) -> None:
    need("kfp", "2.17")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    (tmp_path / "kfp.yaml").write_text("extends: local\norchestrator: {type: kubeflow-local}\n")
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / CASES.name).write_bytes(CASES.read_bytes())
    environ = {**os.environ, "TURNOUT_CACHE": str(tmp_path / "cache"), "TURNOUT_STACK": "kfp.yaml"}
    command = str(Path(sys.executable).with_name("turnout"))

    def turnout(*words: str) -> str:
        done = subprocess.run([command, *words], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    turnout("run", "flow.py")
    differences = json.loads(turnout("artifacts", "load", "latest", "check", "--json"))
    assert {name: told for name, told in differences.items() if told is not None} == {}
    assert differences
