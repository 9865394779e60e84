"""The policy `no_pickle`: nothing is unpickled, wherever something is read, whatever a project's materializer does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sys
import zipfile
import zlib
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from projects import call, write_project

import turnout
from turnout.base.errors import PlanError
from turnout.materializers.pickles import holds_pickle, stopped_by

PIPELINE = """\
import gzip, os, pickle
from typing import Any
from turnout import materializer, pipeline, step

class Odd:
    def __init__(self):
        self.itself = self

    def __setstate__(self, state):
        if "TRAP" in os.environ:
            os.mkdir(os.environ["TRAP"])

class Own:
    def __init__(self, x):
        self.x = x

@materializer(Own)
class Keeps:
    PICKLED
    def save(self, value, folder):
        SAVE

    def load(self, folder):
        LOAD

@step
def odd() -> Any:
    return Odd()

@step
def own() -> Own:
    return Own(Odd())

@step
def look(x) -> int:
    return 1

@pipeline
def odds():
    look(odd())

@pipeline
def owns():
    look(own())
"""
WAYS = {
    "pickle": (
        "(folder / 'x').write_bytes(pickle.dumps(value))",
        "return pickle.loads((folder / 'x').read_bytes())",
    ),
    "hidden": (
        "(folder / 'x').write_bytes(bytes(b ^ 1 for b in pickle.dumps(value)))",
        "return pickle.loads(bytes(b ^ 1 for b in (folder / 'x').read_bytes()))",
    ),
}


def flow(tmp_path: Path, way: str = "pickle", pickled: str = "") -> Path:
    source = PIPELINE.replace("PICKLED", pickled).replace("SAVE", WAYS[way][0]).replace("LOAD", WAYS[way][1])
    files = {
        "flow_of_pickles.py": source,
        "stacks/free.yaml": "extends: local\n",
        "stacks/strict.yaml": "extends: local\npolicies: [{type: no_pickle}]\n",
    }
    return write_project(tmp_path / "shop", files, name="shop")


READING = (
    ("artifacts", "load", "latest", "odd"),
    ("artifacts", "load", "odd_one"),
    ("debug", "latest", "look"),
)


def test_nothing_is_read_anywhere(tmp_path, monkeypatch):
    root = flow(tmp_path)
    assert call(root, "run", "flow_of_pickles.py:odds", "--stack", "free").returncode == 0
    assert call(root, "promote", "latest", "odd", "--alias", "odd_one", "--stack", "free").returncode == 0
    trap = tmp_path / "trap"
    for command in READING:
        done = call(root, *command, "--stack", "strict", TRAP=str(trap))
        assert done.returncode == 2, done
        assert "is a pickle, and is not read" in done.stderr
        assert "the stack's policy 'no_pickle' does not allow it" in done.stderr
        assert not trap.exists()
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRAP", str(trap))
    run = turnout.Run("latest", stack="strict")
    for read in (
        run["odd"].load,
        run["odd"].outputs["output"].load,
        run["look"].inputs["x"].load,
        run["look"].debug,
        turnout.artifact("odd_one", stack="strict").load,
    ):
        with pytest.raises(PlanError, match="is a pickle, and is not read"):
            read()
        assert not trap.exists()
    assert run["look"].load() == 1
    copied = call(root, "artifacts", "load", "latest", "odd", "--to", "out", "--stack", "strict")
    assert copied.returncode == 0  # a copy runs nothing
    assert call(root, "artifacts", "load", "latest", "odd", "--stack", "free", TRAP=str(trap)).returncode == 0
    assert trap.exists()  # the trap works


@pytest.mark.parametrize(
    ("way", "pickled"), [("pickle", ""), ("pickle", "pickled = True"), ("hidden", "pickled = True")]
)
def test_an_own_materializer_that_pickles_is_found_out_when_it_saves(tmp_path, way, pickled):
    root = flow(tmp_path, way, pickled)
    done = call(root, "run", "flow_of_pickles.py:owns", "--stack", "strict")
    assert done.returncode == 1
    assert "the step own made a flow_of_pickles.Own, which was saved as a pickle" in done.stdout + done.stderr


def test_an_own_materializer_that_hides_its_pickles_is_found_out_when_it_reads(tmp_path):
    root = flow(tmp_path, "hidden")
    assert call(root, "run", "flow_of_pickles.py:owns", "--stack", "free").returncode == 0
    trap = tmp_path / "trap"
    done = call(root, "artifacts", "load", "latest", "own", "--stack", "strict", TRAP=str(trap))
    assert done.returncode == 2
    assert "is a pickle, and is not read" in done.stderr
    assert not trap.exists()
    strict = call(root, "run", "flow_of_pickles.py:owns", "--no-cache", "--stack", "strict", TRAP=str(trap))
    assert strict.returncode == 1
    assert "is a pickle, and is not read" in strict.stdout + strict.stderr
    assert not trap.exists()


VALUE = Fraction(1, 3)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data.pkl", pickle.dumps(VALUE))


FILES = {
    **{f"protocol {number}": (lambda path, n=number: path.write_bytes(pickle.dumps(VALUE, n))) for number in range(6)},
    "gzip": lambda path: path.write_bytes(gzip.compress(pickle.dumps(VALUE))),
    "bz2": lambda path: path.write_bytes(bz2.compress(pickle.dumps(VALUE))),
    "xz": lambda path: path.write_bytes(lzma.compress(pickle.dumps(VALUE))),
    "zlib": lambda path: path.write_bytes(zlib.compress(pickle.dumps(VALUE))),
    "an archive": archive,
    "an array of objects": lambda path: np.save(f"{path}.npy", np.array([VALUE], dtype=object), allow_pickle=True),
    "arrays of objects": lambda path: np.savez(f"{path}.npz", a=np.array([VALUE], dtype=object)),
}
PLAIN = {
    "nothing": b"",
    "a dot": b".",
    "text": b"This is a sentence. It ends with a dot.",
    "numbers": b"1\n2\n3.",
    "json": b'{"a": [1, 2.5]}',
    "an old pickle's look": b"I1\n.",
    "parquet": b"PAR1" + bytes(range(256)) + b"PAR1",
    "gzip of text": gzip.compress(b"hello"),
    "damaged gzip": b"\x1f\x8b\x08garbage",
    "damaged zip": b"PK\x03\x04garbage",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("case", FILES)
def test_pickles_are_found(tmp_path, case):
    (tmp_path / "deep").mkdir()
    FILES[case](tmp_path / "deep" / "file")
    assert holds_pickle(tmp_path)


@pytest.mark.parametrize("case", PLAIN)
def test_what_is_no_pickle(tmp_path, case):
    (tmp_path / "file").write_bytes(PLAIN[case])
    assert not holds_pickle(tmp_path)


def test_an_array_of_numbers_is_no_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1000.0))
    np.savez_compressed(tmp_path / "b.npz", a=np.arange(9))
    assert not holds_pickle(tmp_path)


@pytest.mark.parametrize("value", [VALUE, OrderedDict(a=1), np.arange(3)], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("reader", [pickle.loads, lambda data: pickle._Unpickler(io.BytesIO(data)).load()])
def test_unpickling_is_stopped_before_a_class_is_found(value, reader):
    def stop() -> None:
        raise PlanError("stopped")

    data = pickle.dumps(value)
    with stopped_by(stop), pytest.raises(PlanError):
        reader(data)
    assert type(reader(data)) is type(value)
