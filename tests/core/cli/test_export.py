"""Exporting and publishing: the engine's files and what its workers need, in a folder of their own."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from click.testing import CliRunner
from projects import entered, write_project

from turnout.base.errors import UnsupportedError
from turnout.cli.export import export
from turnout.cli.publish import publish, unpublish

PIPELINE = """\
from turnout import pipeline, step


@step
def one() -> int:
    return 1


@pipeline
def exported():
    one()
"""
SPECIMEN = "extends: local\norchestrator: {type: specimen, folder: logs}\n"


@pytest.fixture
def call(tmp_path):
    files = {
        "exported_pipeline.py": PIPELINE,
        "stacks/specimen.yaml": SPECIMEN,
    }

    def run(command, *arguments):
        return CliRunner().invoke(command, ["exported_pipeline.py", *arguments], catch_exceptions=True)

    with entered(write_project(tmp_path / "project", files, name="sample")):
        yield run


def test_an_export_holds_the_engines_files_plan_and_code(call, tmp_path):
    folder = tmp_path / "out"
    done = call(export, "--stack", "specimen", "-o", str(folder), "--json")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.output)["plan"]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    (code,) = (name for name in files if name.startswith("code/"))
    assert files == {"steps.json", "environment.json", f"plans/{plan}.json", code, ".turnout-files.json"}
    assert not any(zipfile.is_zipfile(folder / name) for name in files)
    assert set(json.loads((folder / "environment.json").read_text())) >= {"TURNOUT_STORE"}


def test_local_files_are_sent_to_the_store_when_asked_for(call, tmp_path):
    root = tmp_path / "project"
    (root / "data.txt").write_text("some data")
    text = PIPELINE.replace("import pipeline", "import File, pipeline").replace("one()", "one(path)", 2)
    text = text.replace("def one(path)", "def one(path: File)").replace("return 1", "return len(path.read_text())")
    (root / "exported_pipeline.py").write_text(text.replace("exported()", 'exported(path: File = "data.txt")'))
    folder = tmp_path / "out"
    options = ("--stack", "specimen", "-o", str(folder))
    without = call(export, *options)
    assert (
        "note: not in the export, and not sent to the store: data.txt; --upload sends what is not there"
        in without.output
    )
    missing = _step(folder, tmp_path / "elsewhere")
    assert missing.returncode == 1
    assert "the content of 'path', a local file or folder, is not in the store" in missing.stderr
    assert "`turnout export PIPELINE --upload`" in missing.stderr
    assert "note" not in call(export, *options, "--upload").output
    assert _step(folder, tmp_path / "elsewhere").returncode == 0


def _step(folder, cwd):
    """Run the step of an exported folder, as an engine elsewhere would."""
    cwd.mkdir(exist_ok=True)
    (plan,) = (folder / "plans").iterdir()
    words = ["step", "--plan", plan.stem, "--engine-run", "native", "--step", "one", "--bundle", str(folder)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT")}
    command = [sys.executable, "-m", "turnout.runtime", *words]
    return subprocess.run(
        command, cwd=cwd, env={**environ, "TURNOUT_CACHE": str(cwd)}, capture_output=True, text=True, check=False
    )


def test_the_check_says_what_differs_and_writes_nothing(call, tmp_path):
    folder = tmp_path / "out"
    options = ("--stack", "specimen", "-o", str(folder))
    missing = call(export, *options, "--check")
    assert (missing.exit_code, folder.exists()) == (1, False)
    assert call(export, *options).exit_code == 0
    assert call(export, *options, "--check").exit_code == 0
    (folder / "steps.json").write_text("{}")
    (folder / "notes.txt").write_text("of the user's own")
    changed = call(export, *options, "--check")
    assert changed.exit_code == 1
    assert changed.output == f"{folder}/steps.json: differs\n"
    assert call(export, *options).exit_code == 0
    assert call(export, *options, "--check").exit_code == 0
    assert (folder / "notes.txt").exists()


def test_a_worker_finds_the_store_by_the_bundle_alone(call, tmp_path):
    folder = tmp_path / "out"
    plan = json.loads(call(export, "--stack", "specimen", "-o", str(folder), "--json").output)["plan"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT")}
    for _ in range(2):
        words = ["step", "--plan", plan, "--engine-run", "x", "--step", "one", "--bundle", str(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "turnout.runtime", *words], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "project" / ".turnout" / "store" / "plans" / f"{plan}.json").exists()


def test_an_environment_that_is_none_is_refused(tmp_path):
    (tmp_path / "environment.json").write_text('["TURNOUT_STORE"]')
    words = ["step", "--plan", "0" * 64, "--engine-run", "x", "--step", "one", "--bundle", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "turnout.runtime", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "environment.json in the bundle cannot be read" in done.stderr


def test_what_has_no_files_cannot_be_exported(call, tmp_path):
    done = call(export, "--stack", "local", "-o", str(tmp_path / "out"))
    assert isinstance(done.exception, UnsupportedError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [publish, unpublish])
def test_publishing_needs_a_place(call, command):
    done = call(command, "--stack", "specimen")
    assert isinstance(done.exception, UnsupportedError)
    assert "the specimen orchestrator has no place to publish to" in str(done.exception)
