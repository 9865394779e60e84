"""What is gone when the step has ended is no value: a path to a file of the step, however written, and a query."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from turnout.artifacts.artifacts import Artifacts
from turnout.base.errors import ArtifactError
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.stores.local import LocalStore

IS_PATH = "is the path of a file of this step"
REFUSED = {
    "bytes alone": (os.fsencode, f"it {IS_PATH}, as bytes"),
    "bytes": (lambda path: {"report": os.fsencode(path)}, rf"\['report'\] {IS_PATH}, as bytes"),
    "large, bytearray": (lambda path: {"a": "x" * 5000, "b": bytearray(os.fsencode(path))}, rf"\['b'\] {IS_PATH}"),
    "key": (lambda path: {path: 1}, rf"the key '.*r\.txt' {IS_PATH}, as a text"),
    "key of bytes": (lambda path: {os.fsencode(path): 1}, rf"the key b'.*' {IS_PATH}, as bytes"),
    "deep key": (lambda path: {"a": [{(1, path): 1}]}, IS_PATH),
    "in a set": (lambda path: {1, path}, IS_PATH),
    "array": (lambda path: np.array(["a", path]), IS_PATH),
    "array by columns": (lambda path: np.array([["a", "b"], ["c", path]], order="F")[:, 1], IS_PATH),
    "array of bytes": (lambda path: np.array([[os.fsencode(path)]]), f"{IS_PATH}, as bytes"),
    "record array": (lambda path: np.array([(1, path)], dtype=[("a", "i4"), ("b", "U4000")]), IS_PATH),
    "array in a dict": (lambda path: {"a": np.array(["a", path])}, rf"\['a'\].* {IS_PATH}"),
    "array of objects": (lambda path: np.array([None, path], dtype=object), "it holds the path 'r.txt'"),
    "column": (lambda path: pd.DataFrame({"a": [None, path]}), rf"\['a'\]\[0\] {IS_PATH}"),
    "categories": (lambda path: pd.DataFrame({"a": ["x", path]}, dtype="category"), rf"\['a'\]\[0\] {IS_PATH}"),
    "series": (lambda path: pd.Series(["x", path]), IS_PATH),
    "Arrow, lists": (lambda path: pa.table({"a": [["x"], [None, path]]}), rf"\['a'\]\[0\] {IS_PATH}"),
    "Polars": (lambda path: pl.DataFrame({"a": [None, path]}), rf"\['a'\]\[0\] {IS_PATH}"),
    "Polars, lists": (lambda path: pl.DataFrame({"a": [["x"], [None, path]]}), rf"\['a'\]\[0\] {IS_PATH}"),
    "Polars, categories": (lambda path: pl.Series("a", ["x", path], pl.Categorical), IS_PATH),
}
KEPT = {
    "the folder the step is in": lambda path: [str(Path(path).parent), str(Path(path).parent).encode()],
    "a file that is not there": lambda path: {f"{path}.missing": np.array([f"{path}.missing"])},
    "a text that is too long": lambda path: path + "/x" * 5000,
    "no texts": lambda path: pd.DataFrame({"a": [], "b": []}),
}


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    work = tmp_path / "work"
    (work / "step").mkdir(parents=True)
    (work / "step/r.txt").write_text("content")
    monkeypatch.chdir(work / "step")
    return Artifacts(LocalStore.from_url(str(tmp_path / "store")), Materializers(BUILTIN), work)


@pytest.mark.parametrize("case", REFUSED)
def test_a_path_to_a_file_of_the_step_is_refused(case, artifacts):
    make, message = REFUSED[case]
    with pytest.raises(ArtifactError, match=message):
        artifacts.save_value(make(str(Path("r.txt").resolve())))


@pytest.mark.parametrize("case", KEPT)
def test_what_only_looks_like_one_is_kept(case, artifacts):
    artifacts.save_value(KEPT[case](str(Path("r.txt").resolve())))


def test_a_query_is_refused_with_what_to_return_instead(artifacts):
    """As a relation of DuckDB, which has a connection."""

    class Query:
        def __init__(self):
            self.connection = object()

        def __arrow_c_stream__(self, requested_schema=None): ...

        def __reduce__(self):
            raise TypeError("cannot pickle a connection")

    with pytest.raises(ArtifactError, match=r"return its rows as a table: pyarrow.table\(it\)"):
        artifacts.save_value({"rows": Query()})
