"""A request to Seldon's microservice against the same request to the ``turnout.serving`` that it passes it on to.

Both are asked in turn over REST, a connection a request, in one network namespace: Seldon's listens on all addresses.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "engines"))

from measure import Result, environment, project, turnout
from pod import SELDON, Pod, refused

from turnout_seldon import microservice

REQUESTS = max(1, int(os.environ.get("BENCH_REQUESTS", "300")))
TARGET = 2.5
FLOW = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    made = np.random.default_rng(0)
    frame = pd.DataFrame({
        "distance": made.uniform(100, 3000, 5000), "hour": made.integers(0, 24, 5000),
        "wind": made.uniform(0, 40, 5000), "carrier": made.choice(["AA", "UA", "DL"], 5000),
    })
    frame["delay"] = 0.01 * frame["distance"] + frame["hour"] + made.normal(0, 1, 5000)
    return frame


@step
def features(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["distance", "hour", "wind"]].assign(ua=rows["carrier"] == "UA")


@step
def fit(rows: pd.DataFrame, flights: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows, flights["delay"])


@step
def predict(model: LinearRegression, rows: pd.DataFrame) -> np.ndarray:
    return model.predict(rows)


@pipeline
def train():
    flights = load()
    fit(features(flights), flights)


@endpoint(train, like={"rows": "load"}, without={"rows": ["delay"]})
def delay(rows: pd.DataFrame):
    return predict(train["fit"], features(rows))
"""
PLAN = "import sys, flow; made = flow.delay.prepare(); made.publish(); sys.stdout.buffer.write(made.plan.encode())"
ROW = {"distance": 1200.5, "hour": 7, "wind": 11.25, "carrier": "UA"}


def measure() -> list[Result]:
    """The ratio, for requests of one row and of eight."""
    name = "a REST request to Seldon's microservice, to `turnout.serving`'s own"
    target = f"≤ {TARGET:g}"
    reason = "make test-engines makes its environment" if not (SELDON / "python").exists() else refused()
    if reason:
        return [Result(name, "not measured", target, None, reason)]
    folder = project(FLOW)
    turnout("run", "flow.py", folder=folder)
    (folder / "endpoint.json").write_bytes(
        subprocess.run(
            [sys.executable, "-c", PLAN], cwd=folder, env=environment(), capture_output=True, check=True
        ).stdout
    )
    for path, data in microservice.files().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    with Pod(folder) as pod:
        serving = [sys.executable, "-m", "turnout.serving", "container", "endpoint.json", "--host", "127.0.0.1"]
        pod.start("serving", serving, {"TURNOUT_STORE": str(folder / ".turnout" / "store")}, folder)
        command = [str(SELDON / "seldon-core-microservice"), microservice.INTERFACE, "--service-type", "MODEL"]
        pod.start("micro", command, {"PREDICTIVE_UNIT_ID": "delay"}, folder / microservice.FOLDER)
        pod.wait(SELDON, "serving", 8080, "/health/ready")
        pod.wait(SELDON, "micro", 9000, "/health/status")
        return [result(pod, name, target, rows) for rows in (1, 8)]


def result(pod: Pod, name: str, target: str, rows: int) -> Result:
    body = {"rows": [ROW] * rows}
    each = [
        {"port": 8080, "path": "/predict", "body": body},
        {"port": 9000, "path": "/predict", "body": {"jsonData": body}},
    ]
    pod.ask(SELDON, times=20, each=each)
    own, seldon = (statistics.median(one) for one in pod.ask(SELDON, times=REQUESTS, each=each)["seconds"])
    ratio = seldon / own
    of = "one row" if rows == 1 else f"{rows} rows"
    detail = f"{seldon * 1000:.1f} ms to {own * 1000:.1f} ms of {of}, median of {REQUESTS} in turn"
    return Result(f"{name}, {of}", f"{ratio:.2f}", target, ratio <= TARGET, detail)


if __name__ == "__main__":
    for one in measure():
        print(json.dumps(one._asdict()))
