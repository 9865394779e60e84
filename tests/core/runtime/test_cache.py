"""The cache across real runs: what hits, what misses, and what a damaged store comes to."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from projects import call

HELPERS = '''\
FACTOR = 2


def scale(value):
    """Scale a value."""
    return value * FACTOR


def unrelated(value):
    return value
'''
PIPELINE = """\
import os
from datetime import datetime

from helpers import scale
from shapes import Box
from turnout import LOGICAL_TIME, File, pipeline, step


@step
def read(path: File) -> bytes:
    return path.read_bytes() * 1000


@step
def size(data: bytes, add: int) -> int:
    return len(data) + add


@step
def dated(data: bytes, day: datetime) -> str:
    return f"{day:%Y-%m-%d}: {len(data)}"


@step
def scaled(number: int) -> int:
    return scale(number)


@step(env=["REGION"])
def region(number: int) -> str:
    return f"{os.environ.get('REGION')} {number}"


@step
def box(number: int) -> Box:
    return Box(number)


@step
def volume(given):
    return given.volume()


@step
def bundle(number: int) -> dict:
    return {"box": Box(number)}


@step
def opened(given: dict) -> int:
    return given["box"].volume()


@step(cache=True)
def constant() -> float:
    return 1.5


@step
def always() -> int:
    return 1


@pipeline
def work(path: File = "data.txt", add: int = 1, day: datetime = LOGICAL_TIME):
    data = read(path)
    dated(data, day)
    number = scaled(size(data, add))
    region(number)
    volume(box(number))
    opened(bundle(number))
    constant()
    always()
"""
SHAPES = """\
from dataclasses import dataclass


@dataclass
class Box:
    side: int

    def volume(self):
        return self.side**3
"""
BOXES = {"box", "volume", "bundle", "opened"}
EVERYTHING = {"read", "size", "scaled", "region", *BOXES, "constant"}


class Project:
    """A project whose pipeline is run by the command, each time in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("pyproject.toml", '[project]\nname = "cached"\nversion = "1"\n')
        self.write("helpers.py", HELPERS)
        self.write("shapes.py", SHAPES)
        self.write("work.py", PIPELINE)
        self.write("data.txt", "some data\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.write_text(text)
        stamp = time.time_ns() + 2_000_000_000
        os.utime(path, ns=(stamp, stamp))  # an edit within the clock's grain is an edit, too

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, *arguments: str, **environ: str) -> dict[str, dict]:
        done = call(self.root, "run", "work.py", "--json", *arguments, code=0, **environ)
        return {one["step"]: one for one in json.loads(done.stdout)["steps"]}

    def cached(self, *arguments: str, **environ: str) -> set[str]:
        return {name for name, one in self.run(*arguments, **environ).items() if one["cached_from"]}


@pytest.fixture(scope="module")
def warmed(tmp_path_factory) -> Project:
    """A project that has run once: what every test copies."""
    project = Project(tmp_path_factory.mktemp("cached"))
    assert project.cached() == set()
    return project


@pytest.fixture
def project(warmed, tmp_path) -> Project:
    root = tmp_path / "project"
    shutil.copytree(warmed.root, root)
    copy = object.__new__(Project)
    copy.root = root
    return copy


def test_an_unchanged_run_takes_everything_that_may_be_cached(project):
    first = project.run("--no-cache")
    again = project.run()
    assert {name for name, one in again.items() if one["cached_from"]} == EVERYTHING
    assert {name: one["outputs"] for name, one in first.items()} == {
        name: one["outputs"] for name, one in again.items()
    }
    assert not first["read"]["cached_from"]


@pytest.mark.parametrize(
    ("file", "old", "new", "missed"),
    [
        ("helpers.py", "value * FACTOR", "value + FACTOR", {"scaled", "region", *BOXES}),
        ("helpers.py", "FACTOR = 2", "FACTOR = 3", {"scaled", "region", *BOXES}),
        ("helpers.py", '"""Scale a value."""', '"""Scale it."""  # as agreed', set()),
        ("helpers.py", "def unrelated(value):\n    return value", "def unrelated(value):\n    return -value", set()),
        ("shapes.py", "self.side**3", "self.side**3 + 0", BOXES),
        ("data.txt", "some data", "more data", {"read", "size"}),
        ("data.txt", "some data", "a little more data", {"read", "size", "scaled", "region", *BOXES}),
        ("work.py", "len(data) + add", "add + len(data)", {"size"}),
    ],
    ids=["helper", "constant", "comment", "unrelated", "method", "content", "other-content", "step"],
)
def test_an_edit_misses_what_it_reaches_and_nothing_else(file, old, new, missed, project):
    project.edit(file, old, new)
    assert project.cached() == EVERYTHING - missed


def test_a_parameter_and_a_declared_variable_are_part_of_the_key(project):
    assert "size" not in project.cached("-p", "add=2")
    assert project.cached(REGION="north") == EVERYTHING - {"region"}


def test_the_run_of_the_next_day_is_no_stale_hit(project):
    first = project.run("--at", "2026-01-02")
    assert "dated" in project.cached("--at", "2026-01-02")
    following = project.run("--at", "2026-01-03")
    assert {name for name, one in following.items() if one["cached_from"]} == EVERYTHING
    assert following["dated"]["outputs"] != first["dated"]["outputs"]
    assert changes(project, "dated") == {("parameter", "day")}


def test_the_name_of_a_file_is_not_its_content(project):
    (project.root / "data.txt").rename(project.root / "other.txt")
    project.edit("work.py", '"data.txt"', '"other.txt"')
    assert "read" in project.cached()
    (project.root / "other.txt").rename(project.root / "other.csv")
    project.edit("work.py", '"other.txt"', '"other.csv"')
    assert "read" not in project.cached()


@pytest.mark.parametrize("harm", ["delete", "damage", "truncate"])
def test_an_artifact_that_is_gone_or_damaged_is_made_again(harm, project):
    before = project.run()["read"]["outputs"]
    (digest,) = before["output"]
    (blob,) = (project.root / ".turnout" / "store" / "artifacts" / digest / "files").iterdir()
    blob.chmod(0o644)
    if harm == "delete":
        blob.unlink()
    else:
        blob.write_bytes(b"x" * blob.stat().st_size if harm == "damage" else b"")
    again = project.run()
    assert not again["read"]["cached_from"]
    assert again["read"]["outputs"] == before
    assert project.cached() == EVERYTHING


def entries(project: Project) -> list[Path]:
    return sorted((project.root / ".turnout" / "store" / "cached" / "cache").rglob("*.json"))


@pytest.mark.parametrize("name", ["{run}.nothing.json", "nothing.{step}.json", "{run}.{step}.txt", "nothing.json"])
def test_a_cache_entry_that_names_no_record_is_no_entry(name, project):
    for entry in entries(project):
        run, step, _ = entry.name.split(".")
        entry.rename(entry.with_name(name.format(run=run, step=step)))
    assert project.cached() == set()
    assert project.cached() == EVERYTHING
    assert all(len(list(entry.parent.iterdir())) == 1 for entry in entries(project))


def test_a_cache_entry_that_is_alone_need_not_be_read(project):
    for entry in entries(project):
        entry.chmod(0o644)
        entry.write_bytes(b'{"run": ')
    assert project.cached() == EVERYTHING


def test_a_cache_entry_beside_others_that_cannot_be_read_is_no_entry(project):
    for entry in entries(project):
        run, step, _ = entry.name.split(".")
        entry.with_name(f"a{run}.{step}.json").write_bytes(b'{"run": ')
    assert project.cached() == EVERYTHING
    for entry in entries(project):
        entry.chmod(0o644)
        entry.write_bytes(b'{"run": ')
        entry.with_name(f"a{entry.name}").write_bytes(b'{"run": ')
    assert project.cached() == set()
    assert project.cached() == EVERYTHING


def test_what_is_cached_for_a_while_is_made_again_after_it(project):
    project.edit("work.py", "@step(cache=True)", "@step(cache=0.001)")
    project.run()
    assert "constant" not in project.cached()
    project.edit("work.py", "@step(cache=0.001)", '@step(cache="12h")')
    assert "constant" in project.cached()


def why(project: Project, step: str, **environ: str) -> dict:
    return json.loads(call(project.root, "explain", "latest", step, "--json", code=0, **environ).stdout)["why"]


def changes(project: Project, step: str) -> set[tuple[str, str]]:
    return {(one["part"], one["name"]) for one in why(project, step).get("changes", [])}


def test_explain_names_the_parts_of_the_key_that_changed(project):
    project.edit("helpers.py", "value * FACTOR", "FACTOR * value")
    project.edit("helpers.py", "FACTOR = 2", "FACTOR = 3")
    project.edit("shapes.py", "self.side**3", "self.side**3 + 0")
    project.edit("data.txt", "some data", "more data")
    project.run()
    assert changes(project, "scaled") == {("code", "helpers:scale"), ("code", "helpers:FACTOR")}
    assert ("code", "shapes:Box") in changes(project, "volume")
    assert ("code", "shapes:Box") in changes(project, "opened"), "though nothing in the step names the class"
    assert changes(project, "read") == {("parameter", "path")}
    assert changes(project, "size") == {("input", "data")}
    (change,) = why(project, "size")["changes"]
    assert change["made_by"] == "read"
    assert change["before"] != change["after"]


def test_explain_shows_parameters_and_variables_as_they_were_and_are(project):
    project.run("-p", "add=2", REGION="north")
    (change,) = why(project, "size")["changes"]
    assert change == {"part": "parameter", "name": "add", "before": 1, "after": 2}
    found = {one["part"]: one for one in why(project, "region")["changes"]}
    assert found["variable"] == {"part": "variable", "name": "REGION", "after": "north"}
    assert set(found) == {"variable", "input"}


def test_explain_says_why_a_step_with_an_unchanged_key_ran_or_did_not(project):
    project.run()
    assert "did not run" in why(project, "size")["reason"]
    assert "its results are not cached" in why(project, "always")["reason"]
    project.run("--no-cache")
    assert "--no-cache" in why(project, "size")["reason"]
    assert "changes" not in why(project, "size")
    shutil.rmtree(project.root / ".turnout" / "store" / "cached" / "cache")
    project.run()
    assert "gone" in why(project, "size")["reason"]


def test_explain_says_that_a_class_is_not_declared(project):
    project.edit("work.py", "def box(number: int) -> Box:", "def box(number: int):")
    project.run()
    assert "volume" not in project.cached()
    assert "box declares no type and gave a value of the project's class shapes:Box" in why(project, "volume")["reason"]


def test_explain_names_declared_files_materializers_and_the_first_run(project):
    project.write("note.txt", "one")
    project.edit("work.py", "@step\ndef size", '@step(files=["note.txt"])\ndef size')
    project.edit("work.py", "def always() -> int", "def always() -> float")
    project.run()
    assert changes(project, "size") == {("file", "note.txt")}
    assert ("output", "output") in changes(project, "always")
    project.write("note.txt", "two")
    project.run()
    assert changes(project, "size") == {("file", "note.txt")}
    shutil.rmtree(project.root / ".turnout")
    project.run()
    assert why(project, "size")["reason"] == "no earlier run has it"


def test_explain_names_the_packages_that_changed(project):
    project.write("pyproject.toml", '[project]\nname = "cached"\nversion = "1"\ndependencies = ["click", "pluggy"]\n')
    project.run()
    assert ("package", "pyyaml") in changes(project, "size")  # without dependencies all that is installed counts
    project.write("pyproject.toml", '[project]\nname = "cached"\nversion = "1"\ndependencies = ["click"]\n')
    project.run()
    found = why(project, "size")["changes"]
    assert [(one["part"], one["name"]) for one in found] == [("package", "pluggy")]
    assert "after" not in found[0]
