"""An endpoint by Beam's ``RunInference``: the answers are those of the steps, of the deployer and of the mounted app."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from installed import need
from projects import write

PROJECT = "[project]\nname = 'delays'\nversion = '1'\n"
PIPELINE = """
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    numbers = np.random.default_rng(7)
    distance = numbers.integers(200, 2500, 400)
    frame = pd.DataFrame({"distance": distance, "carrier": pd.Categorical(numbers.choice(["AA", "UA", "B6"], 400))})
    frame["scheduled"] = datetime(2026, 1, 1) + pd.to_timedelta(numbers.integers(0, 10_000, 400), unit="min")
    return frame.assign(delay=distance / 100 + numbers.normal(0, 1, 400))


@step
def features(flights: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"thousands": flights["distance"] / 1000, "carrier": flights["carrier"].cat.codes,
                         "hour": flights["scheduled"].dt.hour})


@step
def fit(rows: pd.DataFrame, flights: pd.DataFrame) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=20, random_state=7).fit(rows, flights["delay"])


@step
def predict(model: HistGradientBoostingRegressor, rows: pd.DataFrame) -> np.ndarray:
    return model.predict(rows)


@pipeline
def train():
    flights = load()
    rows = features(flights)
    predict(fit(rows, flights), rows)


@endpoint(train, like={"rows": "load"}, without={"rows": ["delay"]})
def delay(rows: pd.DataFrame):
    return predict(train["fit"], features(rows))
"""
FOUR_WAYS = """
import asyncio, json
import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import delays
from turnout.base.errors import RunError
from turnout.serving import asgi
from turnout_beam import model_handler

run = delays.train.run()
table = run["load"].load().drop(columns="delay").iloc[:50]
model = run["fit"].load()
found = {"function": delays.predict(model, delays.features(table)).tolist()}

rows = table.to_dict("records")
plain = json.loads(table.to_json(orient="records", date_format="iso", date_unit="us"))
for row in plain:
    row["scheduled"] = row["scheduled"].removesuffix("Z")


async def asked():
    body, sent = json.dumps({"rows": plain}).encode(), []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
             "headers": [(b"host", b"mine")], "http_version": "1.1", "scheme": "http", "root_path": "",
             "server": ("mine", 80), "client": ("127.0.0.1", 1)}
    await asgi(delays.delay)(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent))["predictions"]


found["mounted"] = asyncio.run(asked())
deployment = delays.delay.prepare()
deployer = deployment.workspace.stack.component("deployer")
delays.delay.deploy()
try:
    found["deployed"] = list(deployer.predict("delay", plain))
finally:
    deployer.delete("delay")


def save(results):
    ordered = sorted(results, key=lambda result: result[0])
    with open("beam.json", "w") as file:
        json.dump([[result.inference, result.model_id] for _, result in ordered], file)


handler = model_handler(delays.delay, batch=16)
with beam.Pipeline(runner=FnApiRunner()) as job:
    _ = (
        job
        | beam.Create(list(enumerate(rows)))
        | RunInference(KeyedModelHandler(handler))
        | beam.combiners.ToList()
        | beam.Map(save)
    )
answers = json.load(open("beam.json"))
found["beam"] = [answer for answer, _ in answers]
found["version"] = [{version for _, version in answers} == {deployment.plan.digest}]

model = handler.load_model()
named = beam.Row(**rows[0])
found["row"] = [result.inference for result in handler.run_inference([named], model)]
for name, rows in (("bad", [{**plain[0], "distance": "far"}]), ("none", [{}])):
    try:
        handler.run_inference(rows, model)
    except RunError as error:
        found[name] = error.what
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    need("apache-beam", "2.77")
    folder = write(
        tmp_path_factory.mktemp("delays"), {"pyproject.toml": PROJECT, "delays.py": PIPELINE, "ways.py": FOUR_WAYS}
    )
    environ = {**os.environ, "TURNOUT_CACHE": str(folder.parent / "cache"), "PYTHONPATH": str(folder)}
    environ.pop("TURNOUT_STACK", None)
    done = subprocess.run(
        [sys.executable, "ways.py"], cwd=folder, env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("way", ["mounted", "deployed", "beam"])
def test_the_same_rows_have_the_same_predictions(found, way):
    assert len(found[way]) == 50
    assert found[way] == pytest.approx(found["function"], rel=1e-9)


def test_an_answer_says_which_version_gave_it(found):
    assert found["version"] == [True]


def test_rows_of_beam_are_taken_too(found):
    assert found["row"] == pytest.approx(found["function"][:1], rel=1e-9)


def test_a_row_that_is_refused_is_named(found):
    assert found["bad"] == "the endpoint delay refuses a row: rows[0].distance: takes a whole number, not 'far'"
    assert "rows[0]: lacks 'distance', 'carrier', 'scheduled'" in found["none"]
