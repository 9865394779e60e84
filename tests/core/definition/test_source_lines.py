"""A function that travels by value takes its own lines along, and no others."""

from __future__ import annotations

import linecache
import subprocess
import sys

import pytest

from turnout.definition.functions import entrypoint

CELL = """\
PASSWORD = "hunter2"

def ratio(value):
    return 1 / value

def fit(value):
    class Model:
        def score(self):
            return (lambda: ratio(value))()
    return Model().score()
"""
READ = """\
import pickle, sys, traceback
try:
    pickle.load(sys.stdin.buffer)(0)
except ZeroDivisionError:
    traceback.print_exc()
"""


@pytest.fixture
def fit():
    """A function of a notebook's cell."""
    linecache.cache["<cell 1>"] = (len(CELL), None, CELL.splitlines(keepends=True), "<cell 1>")
    names = {"__name__": "__main__"}
    exec(compile(CELL, "<cell 1>", "exec"), names)
    yield names["fit"]
    del linecache.cache["<cell 1>"]


def test_another_process_shows_them(fit):
    data = entrypoint(fit, None).value
    assert data is not None
    assert b"hunter2" not in data
    said = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=False).stderr.decode()
    for line in ("return Model().score()", "return (lambda: ratio(value))()", "return 1 / value"):
        assert f"    {line}\n" in said


def test_lines_that_are_here_are_left_alone(fit):
    import pickle

    data = entrypoint(fit, None).value
    before = linecache.getlines("<cell 1>")
    with pytest.raises(ZeroDivisionError):
        pickle.loads(data)(0)
    assert linecache.getlines("<cell 1>") == before == CELL.splitlines(keepends=True)
