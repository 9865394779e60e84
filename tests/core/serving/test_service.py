"""An endpoint tried before it is served: on stored rows, and on what all requests share."""

from __future__ import annotations

import subprocess
import sys

import pytest

PIPELINE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, 2.0, 3.0], "kind": pd.Categorical(["a", "b", "a"]), "y": [2.0, 4.0, 6.0]})


@step
def fit(rows: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows[["x"]], rows["y"])


@step
def seen(rows: pd.DataFrame) -> dict:
    return {"rows": [len(rows)]}


@step
def predict(model: LinearRegression, rows: pd.DataFrame) -> np.ndarray:
    return model.predict(rows[["x"]])


@step
def counted(seen: dict, rows: pd.DataFrame) -> list:
    seen["rows"].append(len(rows))
    return [len(seen["rows"])] * len(rows)


@step
def broken(model: LinearRegression, rows: pd.DataFrame) -> list:
    return [rows["no such column"]]


@step
def short(model: LinearRegression, rows: pd.DataFrame) -> list:
    return [1]


@pipeline
def train():
    rows = load()
    fit(rows)
    seen(rows)


LIKE = {"like": {"rows": "load"}, "without": {"rows": ["y"]}}


@endpoint(train, **LIKE)
def good(rows: pd.DataFrame):
    return predict(train["fit"], rows)


@endpoint(train, **LIKE)
def changing(rows: pd.DataFrame):
    return counted(train["seen"], rows)


@endpoint(train, **LIKE)
def failing(rows: pd.DataFrame):
    return broken(train["fit"], rows)


@endpoint(train, **LIKE)
def missing(rows: pd.DataFrame):
    return short(train["fit"], rows)
"""
SCRIPT = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, "")
import pipeline
from turnout.base.errors import TurnoutError
from turnout.serving.service import Service

pipeline.train.run()
for name in ("good", "changing", "failing", "missing"):
    deployment = getattr(pipeline, name).prepare()
    deployment.publish()
    service = Service(deployment.plan, deployment.workspace.store, Path(tempfile.mkdtemp()))
    service.load()
    try:
        service.check()
        print(name, [round(value, 6) for value in service.predict([{"x": 4, "kind": "b"}])])
    except TurnoutError as error:
        print(name, error.what)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("[project]\nname = 'tried'\nversion = '1'\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.split(" ", 1)[0] in PIPELINE)


def test_a_model_of_scikit_learn_answers(said):
    assert said["good"] == "[8.0]"


def test_what_changes_what_requests_share_is_refused(said):
    assert said["changing"] == "answering changes seen:output, which all requests of changing share"


def test_rows_that_cannot_be_answered_are_told_before_it_is_served(said):
    assert said["failing"].startswith("the endpoint failing cannot answer rows like those it was made for: KeyError")
    assert "was given 3 rows and answered with 1 values" in said["missing"]
