"""The cache across real runs: what hits, what misses, and what a damaged store comes to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

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

from helpers import scale
from shapes import Box
from turnout import File, pipeline, step


@step
def read(path: File) -> bytes:
    return path.read_bytes() * 1000


@step
def size(data: bytes, add: int) -> int:
    return len(data) + add


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


@step(cache=True)
def constant() -> float:
    return 1.5


@step
def always() -> int:
    return 1


@pipeline
def work(path: File = "data.txt", add: int = 1):
    number = scaled(size(read(path), add))
    region(number)
    volume(box(number))
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
EVERYTHING = {"read", "size", "scaled", "region", "box", "volume", "constant"}


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
        command = [sys.executable, "-m", "turnout.cli", "run", "work.py", "--json", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env={**os.environ, **environ}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
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
        ("helpers.py", "value * FACTOR", "value + FACTOR", {"scaled", "region", "box", "volume"}),
        ("helpers.py", "FACTOR = 2", "FACTOR = 3", {"scaled", "region", "box", "volume"}),
        ("helpers.py", '"""Scale a value."""', '"""Scale it."""  # as agreed', set()),
        ("helpers.py", "def unrelated(value):\n    return value", "def unrelated(value):\n    return -value", set()),
        ("shapes.py", "self.side**3", "self.side**3 + 0", {"box", "volume"}),
        ("data.txt", "some data", "more data", {"read", "size"}),
        ("data.txt", "some data", "a little more data", {"read", "size", "scaled", "region", "box", "volume"}),
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


def test_a_cache_entry_that_cannot_be_read_is_no_entry(project):
    for entry in (project.root / ".turnout" / "store" / "cached" / "cache").rglob("*.json"):
        entry.chmod(0o644)
        entry.write_bytes(b'{"run": ')
    assert project.cached() == set()
    assert project.cached() == EVERYTHING


def test_what_is_cached_for_a_while_is_made_again_after_it(project):
    project.edit("work.py", "@step(cache=True)", "@step(cache=0.001)")
    project.run()
    assert "constant" not in project.cached()
    project.edit("work.py", "@step(cache=0.001)", '@step(cache="12h")')
    assert "constant" in project.cached()
