"""What it costs to send points to MLflow, against MLflow's own client sending the same points in batches.

Once the sending alone, and once whole runs: eight elements that call `log_metric`, with all that turnout starts and sends
for it, and eight that call MLflow's client themselves, on a stack without a tracker.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Result, medians, project, root, run

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
RUNS = f"""
from turnout import log_metric, pipeline, step

@step
def begin(*, uri: str) -> str:
    if not uri:
        return ""
    from mlflow import MlflowClient
    return MlflowClient(uri, uri).create_run("0").info.run_id

@step
def parts(run: str) -> list[int]:
    return list(range({STEPS}))

@step
def learn(part: int, *, uri: str, run: str) -> int:
    if not uri:
        for n in range({POINTS // STEPS}):
            log_metric("loss", float(n), x=n)
        return part
    import time
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    client, points = MlflowClient(uri, uri), []
    for n in range({POINTS // STEPS}):
        points.append(Metric(f"learn/{{part}}/loss", float(n), int(time.time() * 1000), n))
        if len(points) == 1000:
            client.log_batch(run, metrics=points)
            points = []
    client.log_batch(run, metrics=points)
    return part

@step
def end(parts: list[int], *, uri: str, run: str) -> int:
    if uri:
        from mlflow import MlflowClient
        MlflowClient(uri, uri).set_terminated(run)
    return len(parts)

@pipeline
def many(uri: str = ""):
    run = begin(uri=uri)
    end(learn.map(parts(run), uri=uri, run=run), uri=uri, run=run)
"""


def measure() -> list[Result]:
    """The time of so many points from eight steps at once, in times of the client's own: the sending, and whole runs."""
    return [_sending(), *_runs()]


def _runs() -> list[Result]:
    if not ENGINES.exists():
        return []
    folder = project(RUNS)
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = f'tracker: {{type: mlflow, uri: "{uri}"}}\n'
    (folder / "tracked.yaml").write_text((folder / "stack.yaml").read_text() + tracker)
    words = [str(ENGINES.with_name("turnout")), "run", "flow.py", "--no-cache", "--json", "--stack"]

    def ours() -> float:
        return run([*words, "tracked.yaml"], folder).wall

    def plain() -> float:
        return run([*words, "stack.yaml", "-p", f"uri={uri}"], folder).wall

    ours()  # the database is made
    found = medians({"plain": plain, "ours": ours}, 3)
    ratio = found["ours"] / found["plain"]
    return [
        Result(
            "Whole runs of such steps on two workers",
            f"{ratio:.2f} times as long as where they call its client themselves",
            f"≤ {TARGET:g} times",
            ratio <= TARGET,
            f"{found['ours']:.1f} s against {found['plain']:.1f} s of `turnout run`; most of both is importing MLflow: in a "
            "process beside each of the two workers, against in each of the two workers",
        )
    ]


def _sending() -> Result:
    name = f"{POINTS:,} points from {STEPS} steps to MLflow"
    if not ENGINES.exists():
        return Result(
            name, "not measured", f"≤ {TARGET:g} times its client", None, "`make test-engines` installs MLflow"
        )
    folder = Path(tempfile.mkdtemp(dir=root()))
    uri = f"sqlite:///{folder}/mlflow.db"
    found = medians({kind: lambda kind=kind: _seconds(kind, uri) for kind in ("plain", "ours")})
    ratio = found["ours"] / found["plain"]
    return Result(
        name,
        f"{ratio:.2f} times the time of its own client",
        f"≤ {TARGET:g} times",
        ratio <= TARGET,
        f"{found['ours']:.2f} s against {found['plain']:.2f} s of `log_batch`, 1,000 points a batch, eight threads each, "
        "on SQLite; all points were read back, each once",
    )


def _seconds(kind: str, uri: str) -> float:
    done = subprocess.run(
        [str(ENGINES), "-c", SEND, kind, uri], capture_output=True, text=True, check=False, cwd=root()
    )
    if done.returncode:
        raise SystemExit(f"MLflow could not be measured:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    print(*measure(), sep="\n", file=sys.stderr)
