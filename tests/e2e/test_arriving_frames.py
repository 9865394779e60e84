"""Tables that a run saves and another process reads: the same, whatever that process has imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from arriving_frames import KINDS

FLOW = """
from arriving_frames import KINDS
from turnout import pipeline, step

@step
def make(kind: str, name: str):
    return KINDS[kind][name]()

@pipeline
def flow():
    for number, (kind, names) in enumerate(KINDS.items()):
        for item, name in enumerate(names):
            make.named(f"make_{number}_{item}")(kind, name)
"""
READ = """
import json, sys
from turnout.api.run import Run

for module in sys.argv[1:]:
    __import__(module)
run = Run("latest", stack="stack.yaml")
values = {one.name: one.load() for one in run}
from arriving_frames import KINDS, difference

told = {}
for number, (kind, names) in enumerate(KINDS.items()):
    for item, name in enumerate(names):
        told[f"{kind}: {name}"] = difference(KINDS[kind][name](), values[f"make_{number}_{item}"])
print(json.dumps(told))
"""
IMPORTED = {"nothing": (), "pandas' types of Arrow": ("pandas.core.arrays.arrow.extension_types",)}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    (folder / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    (folder / "stack.yaml").write_text("extends: local\norchestrator: {type: local, workers: 1}\n")
    (folder / "flow.py").write_text(FLOW)
    (folder / "arriving_frames.py").write_bytes(Path(__file__).with_name("arriving_frames.py").read_bytes())
    called(folder, "-m", "turnout.cli", "run", "flow.py", "--stack", "stack.yaml")
    return folder


def called(folder: Path, *arguments: str) -> str:
    environ = {**os.environ, "TURNOUT_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, check=False, capture_output=True, text=True, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=IMPORTED.values(), ids=IMPORTED)
def differences(request: pytest.FixtureRequest, ran: Path) -> dict[str, str | None]:
    told: dict[str, str | None] = json.loads(called(ran, "-W", "ignore", "-c", READ, *request.param))
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_each_value_is_read_as_it_was_returned(kind: str, differences: dict[str, str | None]) -> None:
    expected = dict.fromkeys(f"{kind}: {name}" for name in KINDS[kind])
    assert {name: differences[name] for name in expected} == expected
