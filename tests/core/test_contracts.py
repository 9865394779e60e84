"""The import contracts hold, and each of them fails when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREAKS = {
    "layers": ("spec/model.py", "from turnout.runtime import step"),
    "definition-and-runtime": ("definition/step.py", "from turnout.runtime.step import run_step"),
    "no-tools": ("local/engine.py", "def later():\n    import mlflow"),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the core's source under the contracts of the workspace."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", root)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "core" / "src" / "turnout", root / "turnout", ignore=ignored)
    return root


def lint(root: Path, contract: str) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--contract", contract, "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("contract", BREAKS)
def test_a_contract_holds_and_fails_when_it_is_broken(contract, checkout):
    held = lint(checkout, contract)
    assert held.returncode == 0, held.stdout + held.stderr
    file, line = BREAKS[contract]
    path = checkout / "turnout" / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        broken = lint(checkout, contract)
    finally:
        path.write_text(before)
    assert broken.returncode == 1
    assert "BROKEN" in broken.stdout
