"""Requests that an endpoint answers, against applications of FastAPI written by hand around the same model, and MLflow's.

All servers are up at once, each answers in turn for a moment, many times over: what else the machine does meets all
alike. One core answers and another asks, by wrk on loopback. A ratio is the median over the rounds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from measure import Result, environment, project, turnout

ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "15")))
SECONDS = max(1, int(os.environ.get("BENCH_SECONDS", "1")))
CELLS = ((1, 1), (1, 8), (8, 1), (8, 8))
"""Rows of a request, and connections."""
ENGINES = Path(__file__).parents[2] / ".venv-engines" / "bin" / "python"
"""Where MLflow is, on a developer's machine."""

FLOW = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    made = np.random.default_rng(0)
    frame = pd.DataFrame({
        "distance": made.uniform(100, 3000, 500), "hour": made.integers(0, 24, 500), "month": made.integers(1, 13, 500),
        "wind": made.uniform(0, 40, 500), "carrier": made.choice(["AA", "UA", "DL"], 500),
    })
    frame["delay"] = 0.01 * frame["distance"] + frame["hour"] + made.normal(0, 1, 500)
    return frame


@step(batchable=True)
def features(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({
        "distance": rows["distance"] / 1000, "hour": rows["hour"], "month": rows["month"], "wind": rows["wind"],
        "is_ua": rows["carrier"] == "UA",
    })


@step
def fit(rows: pd.DataFrame, flights: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows, flights["delay"])


@step
def predict(model: LinearRegression, rows: pd.DataFrame) -> list[float]:
    return model.predict(rows).tolist()


@step(batchable=True)
def predict_together(model: LinearRegression, rows: pd.DataFrame) -> list[float]:
    return model.predict(rows).tolist()


@pipeline
def train():
    flights = load()
    fit(features(flights), flights)


@endpoint(train, like={"rows": "load"}, without={"rows": ["delay"]})
def delay(rows: pd.DataFrame):
    return predict(train["fit"], features(rows))


@endpoint(train, like={"rows": "load"}, without={"rows": ["delay"]})
def together(rows: pd.DataFrame):
    return predict_together(train["fit"], features(rows))
"""
BY_HAND = """
import pickle
from pathlib import Path

import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

model = pickle.loads(Path("model.pickle").read_bytes())
app = FastAPI()


class Row(BaseModel):
    distance: float
    hour: int
    month: int
    wind: float
    carrier: str


class Request(BaseModel):
    rows: list[Row]


class Answer(BaseModel):
    predictions: list[float]


def features(rows):
    return pd.DataFrame({
        "distance": rows["distance"] / 1000, "hour": rows["hour"], "month": rows["month"], "wind": rows["wind"],
        "is_ua": rows["carrier"] == "UA",
    })


@app.post("/predict")
DEF predict(request: Request) -> Answer:
    rows = pd.DataFrame([row.model_dump() for row in request.rows])
    return Answer(predictions=model.predict(features(rows)).tolist())
"""
SAVE = """
import pickle
from pathlib import Path
import flow
flights = flow.load()
Path("model.pickle").write_bytes(pickle.dumps(flow.fit(flow.features(flights), flights)))
"""
MLFLOW = """
import pickle
from pathlib import Path
import mlflow
import pandas as pd

class Delay(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = pickle.loads(Path(context.artifacts["model"]).read_bytes())

    def predict(self, context, model_input, params=None):
        rows = model_input
        return self.model.predict(pd.DataFrame({
            "distance": rows["distance"] / 1000, "hour": rows["hour"], "month": rows["month"], "wind": rows["wind"],
            "is_ua": rows["carrier"] == "UA",
        })).tolist()

rows = pd.DataFrame([{"distance": 1200.0, "hour": 7, "month": 3, "wind": 4.5, "carrier": "UA"}])
mlflow.pyfunc.save_model("mlflow-model", python_model=Delay(), artifacts={"model": "model.pickle"},
                         signature=mlflow.models.infer_signature(rows, [0.0]), pip_requirements=["pandas"])
"""
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[BODY]==]
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %f %d\\n", summary.requests, summary.duration, latency:percentile(99),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
"""


class Rate(NamedTuple):
    """What was answered: requests a second, the 99th percentile of milliseconds, and milliseconds of processor time."""

    requests: float
    p99: float
    cpu: float


class Server(NamedTuple):
    """A server that is up, and the first of its processes."""

    url: str
    process: psutil.Process


def measure() -> list[Result]:
    """Requests a second and the 99th percentile, beside the same by hand."""
    if shutil.which("wrk") is None:
        return [Result("Requests to an endpoint", "not measured", "≥ 1 times by hand", None, "wrk is not installed")]
    folder = project(FLOW)
    turnout("run", "flow.py", folder=folder)
    subprocess.run([sys.executable, "-c", SAVE], cwd=folder, env=environment(), check=True)
    with ExitStack() as stack:
        servers = {
            "delay": stack.enter_context(_deployed(folder, "delay")),
            "together": stack.enter_context(_deployed(folder, "together")),
            "def": stack.enter_context(_by_hand(folder, "def")),
            "async def": stack.enter_context(_by_hand(folder, "async def")),
        }
        if ENGINES.exists():
            servers["mlflow"] = stack.enter_context(_mlflow(folder))
        for name, server in servers.items():
            _wait(server.url, _body(name, 1))
        _agree(servers)
        rates = {cell: _rates(folder, servers, *cell) for cell in CELLS}
    return [*(_beside(cell, rates[cell]) for cell in CELLS), *_batching(rates), *_others(rates)]


@contextmanager
def _deployed(folder: Path, name: str) -> Iterator[Server]:
    command = [*_on_core(0), str(Path(sys.executable).with_name("turnout")), "deploy", f"flow.py:{name}", "--json"]
    said = subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, text=True).stdout
    known = json.loads((folder / ".turnout" / "endpoints" / name / "processes.json").read_text())
    try:
        yield Server(json.loads(said)["url"] + "/predict", psutil.Process(known["processes"]["supervisor"]["pid"]))
    finally:
        turnout("endpoints", "delete", name, folder=folder)


@contextmanager
def _by_hand(folder: Path, kind: str) -> Iterator[Server]:
    module, port = f"by_hand_{kind.replace(' ', '_')}", _port()
    (folder / f"{module}.py").write_text(BY_HAND.replace("DEF", kind))
    command = [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", str(port), "--no-access-log"]
    with _started([*command, "--log-level", "warning"], folder, environment()) as process:
        yield Server(f"http://127.0.0.1:{port}/predict", process)


@contextmanager
def _mlflow(folder: Path) -> Iterator[Server]:
    subprocess.run([ENGINES, "-c", MLFLOW], cwd=folder, check=True, capture_output=True)
    port = _port()
    command = [str(ENGINES.with_name("mlflow")), "models", "serve", "--model-uri", "mlflow-model", "--port", str(port)]
    environ = {**environment(), "PATH": f"{ENGINES.parent}:{os.environ['PATH']}"}
    with _started([*command, "--env-manager", "local", "--workers", "1"], folder, environ) as process:
        yield Server(f"http://127.0.0.1:{port}/invocations", process)


@contextmanager
def _started(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[psutil.Process]:
    with (folder / "servers.log").open("ab") as log:
        process = subprocess.Popen(
            [*_on_core(0), *command], cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _on_core(number: int) -> list[str]:
    """What keeps a process on a core, so that servers and what asks them do not take it from each other."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[number])] if len(cores) > 1 else []


def _rates(folder: Path, servers: dict[str, Server], rows: int, connections: int) -> dict[str, list[Rate]]:
    rates: dict[str, list[Rate]] = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name, server in servers.items():
            rate = _ask(folder, name, server, rows, connections)
            if number > 0:  # the first is for warming up
                rates[name].append(rate)
    return rates


def _ask(folder: Path, name: str, server: Server, rows: int, connections: int) -> Rate:
    script = folder / f"{name}-{rows}.lua"
    script.write_text(LUA.replace("BODY", _body(name, rows).decode()))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), server.url]
    before = _cpu(server.process)
    said = subprocess.run([*_on_core(1), *command], check=True, capture_output=True, text=True).stdout
    cpu = _cpu(server.process) - before
    match = re.search(r"RESULT (\d+) (\d+) (\S+) (\d+)", said)
    assert match is not None, said
    assert match[4] == "0", f"{name}: {match[4]} requests failed\n{said}"
    count = int(match[1])
    return Rate(count / int(match[2]) * 1e6, float(match[3]) / 1000, cpu / count * 1000)


def _cpu(process: psutil.Process) -> float:
    """The seconds that a server and what it started have computed for."""
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


def _body(name: str, rows: int) -> bytes:
    one = [
        {"distance": 1200.5 + n, "hour": 7, "month": 3, "wind": 4.5, "carrier": ("UA", "AA")[n % 2]}
        for n in range(rows)
    ]
    return json.dumps({"dataframe_records" if name == "mlflow" else "rows": one}).encode()


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(url: str, body: bytes) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            _post(url, body)
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def _post(url: str, body: bytes) -> dict[str, list[float]]:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.load(response))


def _agree(servers: dict[str, Server]) -> None:
    answers = {name: _post(server.url, _body(name, 8))["predictions"] for name, server in servers.items()}
    for name, answer in answers.items():
        pairs = zip(answer, answers["delay"], strict=True)
        assert all(abs(a - b) < 1e-9 for a, b in pairs), (name, answers)


def _beside(cell: tuple[int, int], rates: dict[str, list[Rate]]) -> Result:
    ours, theirs = rates["delay"], rates["async def"]
    ratio, late, cpu = (_ratio(ours, theirs, what) for what in ("requests", "p99", "cpu"))
    return Result(
        f"Requests of {_said(cell)}",
        f"{ratio:.2f} times those of `async def` by hand; 99th percentile {late:.2f} times",
        "≥ 1 times; ≤ 1.2 times",
        ratio >= 1.0 and late <= 1.2,
        f"{'; '.join(_figures(name, rates[name]) for name in ('delay', 'async def', 'def'))}; "
        f"{cpu:.2f} times the processor time of `async def`",
    )


def _batching(rates: dict[tuple[int, int], dict[str, list[Rate]]]) -> Iterator[Result]:
    for cell, target in (((1, 8), 4.0), ((1, 1), 1.0)):
        ours = rates[cell]["together"]
        ratio = _ratio(ours, rates[cell]["async def"])
        yield Result(
            f"Batching, requests of {_said(cell)}",
            f"{ratio:.2f} times those of `async def` by hand",
            f"≥ {target:g} times",
            ratio >= target,
            f"{_figures('batching', ours)}; {_ratio(ours, rates[cell]['delay']):.2f} times the same endpoint without",
        )


def _others(rates: dict[tuple[int, int], dict[str, list[Rate]]]) -> Iterator[Result]:
    if "mlflow" not in rates[CELLS[0]]:
        return
    ratios = {cell: _ratio(rates[cell]["delay"], rates[cell]["mlflow"]) for cell in CELLS}
    yield Result(
        "Requests beside `mlflow models serve`",
        f"{min(ratios.values()):.1f} to {max(ratios.values()):.1f} times those of MLflow's server",
        "",
        None,
        "; ".join(_figures(_said(cell), rates[cell]["mlflow"]) for cell in CELLS),
    )


def _ratio(above: list[Rate], below: list[Rate], what: str = "requests") -> float:
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(above, below, strict=True))


def _figures(name: str, rates: list[Rate]) -> str:
    requests, p99, cpu = (statistics.median(getattr(rate, what) for rate in rates) for what in Rate._fields)
    return f"{name} {requests:.0f}/s, p99 {p99:.1f} ms, {cpu:.2f} ms of processor time"


def _said(cell: tuple[int, int]) -> str:
    rows, connections = cell
    return f"{rows} row{'s' * (rows > 1)}, {connections} connection{'s' * (connections > 1)}"
