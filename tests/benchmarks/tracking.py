"""What it costs to send points to MLflow, against MLflow's own client sending the same points in batches."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Result, medians, root

TARGET = 1.2
POINTS, STEPS = 10_000, 8
ENGINES = Path(__file__).parents[2] / ".venv-engines" / "bin" / "python"
"""Where MLflow is, on a developer's machine."""

SEND = f"""
import sys, threading, time
from mlflow import MlflowClient
from mlflow.entities import Metric
from turnout.plugin_api import Batch, Point
from turnout.testing.plans import sample_run
from turnout_mlflow.tracker import MlflowSettings, MlflowTracker

kind, uri, EACH = sys.argv[1], sys.argv[2], {POINTS // STEPS}
client = MlflowClient(uri, uri)

def plainly(run, step):
    points = [Metric(f"step{{step}}/loss", float(n), 1769860800000 + n, n) for n in range(EACH)]
    mine = MlflowClient(uri, uri)
    for start in range(0, EACH, 1000):
        mine.log_batch(run, metrics=points[start:start + 1000])

def ours(external, step):
    points = tuple(Point("loss", float(n), n, f"2026-01-31T12:00:{{n // 1000:02d}}.{{n % 1000:03d}}000Z", n) for n in range(EACH))
    tracker = MlflowTracker(MlflowSettings(uri=uri))
    tracker.log(Batch(run=run, external_id=external, step=f"step{{step}}", attempt="first", points=points))

run = sample_run(f"benchmark-{{time.time_ns()}}")
external = MlflowTracker(MlflowSettings(uri=uri)).begin(run, claimed=True)
threads = [threading.Thread(target=plainly if kind == "plain" else ours, args=(external, n)) for n in range({STEPS})]
began = time.perf_counter()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.perf_counter() - began
for step in range({STEPS}):
    values = [point.value for point in client.get_metric_history(external, f"step{{step}}/loss")]
    assert sorted(values) == [float(n) for n in range(EACH)], (step, len(values))
print(took)
"""


def measure() -> list[Result]:
    """The time of so many points from eight steps at once, in times of the client's own."""
    name = f"{POINTS:,} points from {STEPS} steps to MLflow"
    if not ENGINES.exists():
        return [
            Result(name, "not measured", f"≤ {TARGET:g} times its client", None, "`make test-engines` installs MLflow")
        ]
    folder = Path(tempfile.mkdtemp(dir=root()))
    uri = f"sqlite:///{folder}/mlflow.db"
    found = medians({kind: lambda kind=kind: _seconds(kind, uri) for kind in ("plain", "ours")})
    ratio = found["ours"] / found["plain"]
    return [
        Result(
            name,
            f"{ratio:.2f} times the time of its own client",
            f"≤ {TARGET:g} times",
            ratio <= TARGET,
            f"{found['ours']:.2f} s against {found['plain']:.2f} s of `log_batch`, 1,000 points a batch, eight threads each, "
            "on SQLite; all points were read back, each once",
        )
    ]


def _seconds(kind: str, uri: str) -> float:
    done = subprocess.run(
        [str(ENGINES), "-c", SEND, kind, uri], capture_output=True, text=True, check=False, cwd=root()
    )
    if done.returncode:
        raise SystemExit(f"MLflow could not be measured:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    print(*measure(), sep="\n", file=sys.stderr)
