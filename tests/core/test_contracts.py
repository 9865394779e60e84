"""The import contracts hold, and each of them fails when it is broken."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

BREAKS = {
    "layers": ("turnout/model/spec.py", "from turnout.runtime import step"),
    "definition-and-runtime": ("turnout/definition/step.py", "from turnout.runtime.step import run_step"),
    "no-tools": ("turnout/engines/local/engine.py", "def later():\n    import mlflow"),
    "plugins-apart": ("turnout_airflow/dag.py", "def later():\n    import turnout_kubeflow.pipeline"),
    "libraries": ("turnout_kubernetes/pods.py", "def later():\n    import turnout_kserve"),
    "public-core": ("turnout_mlflow/tracker.py", "def later():\n    from turnout.runtime import step"),
}
SOURCES = [ROOT / "core" / "src" / "turnout", *ROOT.glob("plugins/*/src/turnout_*")]
SOURCES += (ROOT / "tests" / "sample_plugin" / "src").glob("turnout_*")


@pytest.fixture(scope="module")
def contracts() -> ModuleType:
    """What `make lint` runs."""
    spec = importlib.util.spec_from_file_location("import_contracts", ROOT / "tests" / "import_contracts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, contracts) -> Path:
    """A copy of the sources of core and plugins under the contracts of the workspace."""
    root = tmp_path_factory.mktemp("checkout")
    contracts.write(root)
    ignored = shutil.ignore_patterns("__pycache__")
    for source in SOURCES:
        shutil.copytree(source, root / source.name, ignore=ignored)
    return root


def lint(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Hold these contracts, or all."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    options = [word for contract in contracts for word in ("--contract", contract)]
    return subprocess.run(
        [sys.executable, "-c", command, "--config", "contracts.ini", "--no-cache", *options],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_that_import_one_another_in_a_circle_are_found_late_imports_among_them(checkout):
    command = [sys.executable, "-c", "import import_contracts; print(*import_contracts.circle())"]
    environ = {"PYTHONPATH": f"{checkout}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    assert subprocess.check_output(command, cwd=checkout, env=environ, text=True) == "\n"
    path = checkout / "turnout/model/spec.py"
    before = path.read_text()
    path.write_text(f"{before}\ndef later():\n    from turnout.model import plan\n")
    try:
        found = subprocess.check_output(command, cwd=checkout, env=environ, text=True).split()
    finally:
        path.write_text(before)
    assert {"turnout.model.plan", "turnout.model.spec"} <= set(found)


def test_no_file_name_stands_in_three_rooms(contracts):
    assert contracts.crowded_names() == {}


def test_a_file_name_in_three_rooms_fails_the_lint_and_is_named(contracts, tmp_path, monkeypatch):
    for file in (
        *("model/plan.py", "planning/plan.py"),
        *("engines/local/graph.py", "engines/graph.py", "model/graph.py"),
        *("api/__init__.py", "cli/__init__.py", "model/__init__.py"),
        *("files.py", "serving/files.py", "stores/files.py"),
    ):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert contracts.crowded_names(tmp_path) == {}, "two rooms, and a room counted once, are allowed"
    (tmp_path / "engines/local/plan.py").touch()
    crowded = contracts.crowded_names(tmp_path)
    assert crowded == {"plan.py": ["engines/local/plan.py", "model/plan.py", "planning/plan.py"]}
    monkeypatch.setattr(contracts, "circle", list)
    monkeypatch.setattr(contracts, "crowded_names", lambda: crowded)
    assert "plan.py: engines/local/plan.py, model/plan.py, planning/plan.py" in contracts.broken_rules()


def test_every_contract_holds(checkout):
    held = lint(checkout)
    assert held.returncode == 0, held.stdout + held.stderr
    assert held.stdout.count("KEPT") == len(BREAKS), "each contract is broken by a test of its own"


@pytest.mark.parametrize("contract", BREAKS)
def test_a_contract_fails_when_it_is_broken(contract, checkout):
    file, line = BREAKS[contract]
    path = checkout / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        broken = lint(checkout, contract)
    finally:
        path.write_text(before)
    assert broken.returncode == 1
    assert "BROKEN" in broken.stdout
