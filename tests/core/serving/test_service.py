"""An endpoint tried before it is served: on stored rows, on what all requests share, and against its run."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from projects import call, write

from turnout.serving.trial import compare

PIPELINE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    return pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "kind": pd.Categorical(["a", "b", "a", "b"]), "y": [2.0, 4.0, 6.0, 8.0]})


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


@step
def scale(rows: pd.DataFrame, *, by: float) -> pd.DataFrame:
    return rows.assign(x=rows["x"] * by)


@step
def center(rows: pd.DataFrame, *, by: float) -> pd.DataFrame:
    return rows.assign(x=rows["x"] - rows["x"].mean())


@step
def texts(rows: pd.DataFrame) -> list[str]:
    return [f"{x:.0f}" for x in rows["x"]]


@pipeline
def train(by: float = 2.0):
    rows = load()
    fit(rows)
    seen(rows)
    scaled = scale(rows, by=by)
    center(rows, by=by)
    texts(scaled)


LIKE = {"like": {"rows": "load"}, "without": {"rows": ["y"]}}


@endpoint(train, **LIKE)
def good(rows: pd.DataFrame):
    return predict(train["fit"], rows)


@endpoint(train, like={"rows": "load"})
def faithful(rows: pd.DataFrame, by: float = 2.0):
    return texts(scale(rows, by=by))


@endpoint(train, like={"rows": "load"})
def other(rows: pd.DataFrame, by: float = 3.0):
    return texts(scale(rows, by=by))


@endpoint(train, like={"rows": "load"})
def leaning(rows: pd.DataFrame, by: float = 2.0):
    return center(rows, by=by)


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
from turnout.serving.trial import check, tried

pipeline.train.run()
for name in ("good", "changing", "failing", "missing", "faithful", "other", "leaning"):
    deployment = getattr(pipeline, name).prepare()
    deployment.publish()
    service = Service(deployment.plan, deployment.workspace.store, Path(tempfile.mkdtemp()))
    service.load()
    try:
        trial = tried(service)
        check(trial, deployment.plan)
        compared = [(one.step, one.rows, one.difference, one.differing) for one in trial.compared]
        print(name, trial.rows, compared, [round(value, 6) for value in service.predict([{"x": 4, "kind": "b"}])]
              if name == "good" else "")
    except TurnoutError as error:
        print(name, error.what, "|", error.why)
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
    assert said["good"] == "2 [] [8.0]"


def test_what_changes_what_requests_share_is_refused(said):
    assert said["changing"].startswith("answering changes seen:output, which all requests of changing share")


def test_rows_that_cannot_be_answered_are_told_before_it_is_served(said):
    assert said["failing"].startswith("the endpoint failing cannot answer rows like those it was made for: KeyError")
    assert "was given 2 rows and answered with 1 values" in said["missing"]


def test_what_the_run_made_of_the_same_rows_is_compared_step_by_step(said):
    assert said["faithful"].rstrip() == "2 [('scale', 2, 0.0, 0), ('texts', 2, 0.0, 0)]"


def test_what_the_run_was_not_asked_is_not_compared(said):
    assert said["other"].rstrip() == "2 []"


def test_answers_that_depend_on_other_rows_are_refused(said):
    assert said["leaning"].startswith("the endpoint leaning answers otherwise than the run")
    assert "center differs in 2 of 2 rows | row 0 gives {'x': -0.5," in said["leaning"]


@pytest.mark.parametrize(
    ("ours", "theirs", "differing", "difference"),
    [
        ([1.0, 2], [1.0 + 1e-12, 2.0], 0, 1e-12),
        ([1.0, math.nan], [1.5, math.nan], 1, 0.5),
        ([None, "a", True], [None, "a", 1], 1, 0.0),
        ([math.inf, 1.0], [1.0, math.inf], 2, 0.0),
        ([{"a": 1.0, "b": [2.0]}], [{"a": 1.0, "b": [2.5]}], 1, 0.5),
        ([{"a": 1.0}], [{"b": 1.0}], 1, 0.0),
        ([[1.0]], [[1.0, 2.0]], 1, 0.0),
        ([], [], 0, 0.0),
    ],
)
def test_comparing(ours, theirs, differing, difference):
    compared = compare("predict", ours, theirs)
    assert (compared.differing, compared.difference) == (differing, pytest.approx(difference, rel=1e-3))
    assert bool(compared.example) == bool(differing)


def test_a_failing_trial_tells_no_secret(tmp_path):
    pipeline = """
import os

import pyarrow as pa

from turnout import endpoint, pipeline, step


@step
def table() -> pa.Table:
    return pa.table({"x": [1.0, 2.0]})


@step(secrets={"TOKEN": "token"})
def failing(rows: pa.Table) -> list:
    print(os.environ["TOKEN"])
    raise ValueError(f"refused: {os.environ['TOKEN']}")


@pipeline
def train():
    table()


@endpoint(train, like={"rows": "table"})
def ask(rows: pa.Table):
    return failing(rows)
"""
    files = {"pyproject.toml": "[project]\nname = 'told'\nversion = '1'\n", "told.py": pipeline}
    folder = write(tmp_path / "told", files)
    environ = {"token": "correct-horse-battery", "TURNOUT_CACHE": str(tmp_path / "cache")}
    call(folder, "run", "told.py", code=0, **environ)
    done = call(folder, "deploy", "told.py", code=2, **environ)
    assert "cannot answer rows like those it was made for: ValueError: refused: [secret]" in done.stderr
    assert 'raise ValueError(f"refused: {os.environ[' in done.stderr
    assert "correct-horse" not in done.stdout + done.stderr
