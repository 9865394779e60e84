"""docs/plugins.md holds: its plugin is written as it says, installed, passes its suite and is used; its tables are whole."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from turnout import plugin_api
from turnout.components import hookspecs
from turnout.components.registry import KINDS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)

PIPELINE = """\
from turnout import log_metric, log_params, pipeline, step


@step
def fit(depth: int) -> int:
    log_params({"depth": depth})
    for epoch in range(3):
        log_metric("loss", 1 / (epoch + 1), x=epoch)
    return depth


@pipeline
def training(depth: int = 6):
    fit(depth)
"""


def run(*command: str, cwd: Path, path: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": str(path), "TURNOUT_CACHE": str(cwd / ".cache")}
    environ.pop("TURNOUT_STACK", None)
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(package: str, folder: Path) -> tuple[Path, Path]:
    """A package of the guide, and the folder it is installed into."""
    import uv

    for name, text in blocks(package).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site")]
    environ = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    subprocess.run([*command, str(folder / package)], env=environ, check=True)
    return folder / package, folder / "site"


def blocks(package: str) -> dict[str, str]:
    """The files of a package, by their paths."""
    return {name: text for name, text in BLOCKS if name.startswith(f"{package}/")}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return written("turnout-ledger", tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    return written("turnout-make", tmp_path_factory.mktemp("make"))


def test_it_is_five_files_and_the_plugin_has_under_a_hundred_lines():
    files = blocks("turnout-ledger")
    assert [name.removeprefix("turnout-ledger/") for name in files] == [
        "pyproject.toml",
        "src/turnout_ledger/__init__.py",
        "src/turnout_ledger/tracker.py",
        "tests/test_tracker.py",
        "src/turnout_ledger/stacks/ledger.yaml",
    ]
    assert sum(len(text.splitlines()) for name, text in files.items() if "/tests/" not in name) < 100


def test_it_passes_its_suite(ledger):
    folder, site = ledger
    text = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=folder, path=site)
    assert re.search(r"^\d+ passed in", text, flags=re.MULTILINE), "no test may be skipped"


def test_it_is_used_by_its_stack(ledger, tmp_path):
    folder, site = ledger
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'noted'\nversion = '1'\ndependencies = []\n")
    (tmp_path / "training.py").write_text(PIPELINE)
    (tmp_path / "stacks").mkdir()
    stack = (
        (folder / "src/turnout_ledger/stacks/ledger.yaml").read_text().replace("ledger.db", str(tmp_path / "ledger.db"))
    )
    (tmp_path / "stacks" / "ledger.yaml").write_text(stack)
    turnout = str(Path(sys.executable).with_name("turnout"))
    assert "ledger" not in run(turnout, "plugin", "doctor", cwd=tmp_path, path=site)  # it says nothing against it
    run(turnout, "run", "training.py", "--stack", "ledger", "-p", "depth=8", cwd=tmp_path, path=site)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        points = connection.execute("SELECT name, x, value FROM points ORDER BY x").fetchall()
        assert points == [("fit/loss", 0, 1.0), ("fit/loss", 1, 0.5), ("fit/loss", 2, 1 / 3)]
        assert connection.execute("SELECT name, value FROM params").fetchall() == [("fit/depth", "8")]
        assert connection.execute("SELECT pipeline, state FROM runs").fetchall() == [("training", "succeeded")]


PARTS = "capability_is_answered or described or bundles_are_data or status or cancelled"
CASES = ("guards-half-open", "chained-maps", "empty-map", "failing-branch", "quoting")
"""What is run of the suite, which takes minutes whole: it is that of the sample plugin, which passes all of it."""


def test_an_engine_in_an_afternoon_passes_the_suite(make):
    folder, site = make
    chosen = " or ".join([PARTS, *(f"[{case}]" for case in CASES)])
    text = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", chosen, cwd=folder, path=site)
    assert re.search(r"^\d+ passed", text, flags=re.MULTILINE), text


def test_the_engine_is_used_by_its_stack(make, tmp_path):
    folder, site = make
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'noted'\nversion = '1'\ndependencies = []\n")
    (tmp_path / "training.py").write_text(PIPELINE)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "make.yaml").write_text((folder / "stacks" / "make.yaml").read_text())
    turnout = str(Path(sys.executable).with_name("turnout"))
    run(turnout, "run", "training.py", "--stack", "make", "-p", "depth=8", cwd=tmp_path, path=site)
    assert "succeeded" in run(turnout, "runs", "list", "--stack", "make", cwd=tmp_path, path=site)


ANSWERS = "pure or absent or row_for_row or bad_rows or share"
"""What is run of the suite of deployers: two endpoints go up."""


def test_a_deployer_in_an_hour_passes_the_suite(tmp_path):
    folder, site = written("turnout-plain", tmp_path)
    text = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", ANSWERS, cwd=folder, path=site)
    assert re.search(r"^\d+ passed", text, flags=re.MULTILINE), text


def test_every_name_of_the_engine_side_is_told():
    section = GUIDE.partition("## What an engine's adapter finds ready")[2].partition("\n## ")[0]
    told = set(re.findall(r"\w+", section))
    values = {name: getattr(plugin_api, name) for name in plugin_api.__all__}
    names = {name for name, value in values.items() if getattr(value, "__module__", "").startswith("turnout.engines")}
    assert len(names) > 30
    assert names - told == set()


def test_every_hook_is_there_with_its_arguments():
    specified = {
        name: f"`{name}{inspect.signature(function).replace(return_annotation=inspect.Signature.empty)}`"
        for name, function in vars(hookspecs).items()
        if hasattr(function, "turnout_spec")
    }
    assert set(specified) == set(KINDS.values())
    table = GUIDE.partition("## The hooks")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (`turnout_.*?`) \|", table, flags=re.MULTILINE) == list(specified.values())


def test_every_base_and_suite_that_is_named_is_there():
    table = GUIDE.partition("## The hooks")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `turnout_\w+\(\)` \| [^|]* \| `([^`]+)` \| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(rows) == len(KINDS) - 1
    for base, suite in rows:
        assert hasattr(plugin_api, base)
        module, _, name = suite.rpartition(".")
        assert hasattr(import_module(module), name)


def test_the_capability_table_is_up_to_date():
    page = runpy.run_path(str(ROOT / "docs" / "make_capabilities.py"))
    assert (ROOT / "docs" / "capabilities.md").read_text() == page["text"](), "run `make docs`"
