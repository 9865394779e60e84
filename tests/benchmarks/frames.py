"""What a large data frame between two steps costs, against pyarrow's own: profiles, digests and verification included."""

from __future__ import annotations

import json
import shutil
import sys

from measure import REPEATS, Result, before, medians, project, run, turnout

ROWS = 2_000_000
FRAME = f"""
import resource
import time
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute, parquet

def made() -> pd.DataFrame:
    draw = np.random.default_rng(7)
    return pd.DataFrame({{
        "distance": draw.normal(1000, 300, {ROWS}),
        "delay": draw.normal(10, 40, {ROWS}),
        "seats": draw.integers(20, 400, {ROWS}),
        "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 365 * 86400, {ROWS}), unit="s"),
        "carrier": draw.choice(["alpha", "bravo", "charlie", "delta", "echo"], {ROWS}),
        "tail": draw.choice([f"N{{number:05}}" for number in range(4000)], {ROWS}),
        "cancelled": draw.random({ROWS}) < 0.02,
    }})

def usage() -> tuple[float, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss
"""
BARE = f"""{FRAME}
import json
frame = made()
before, _ = usage()
parquet.write_table(pa.Table.from_pandas(frame), "frame.parquet", compression="zstd")
del frame
frame = parquet.read_table("frame.parquet").to_pandas()
assert len(frame) == {ROWS}
after, peak = usage()
print(json.dumps({{"seconds": after - before, "peak": peak}}))
"""
FLOW = f"""{FRAME}
from turnout import log_metric, pipeline, step

began = 0.0

@step
def make() -> pd.DataFrame:
    global began
    frame = made()
    began, _ = usage()
    return frame

@step
def use(frame: pd.DataFrame) -> int:
    after, peak = usage()
    log_metric("seconds", after - began)
    log_metric("peak", peak)
    return len(frame)

@pipeline
def flow():
    use(make())
"""
TARGET = 1.3
BEFORE = "1ed6d52"
"""The last revision that did not compare what it had written with what was given; its workers ran all steps."""
BEFORE_TARGET = 1.05


def measure() -> list[Result]:
    """Processor time from the frame that one step returns to the frame that the next is given, and the peak memory."""
    taken: dict[str, list[float]] = {"bare": [], "turnout": []}

    def noted(name: str, found: dict[str, float]) -> float:
        taken[name].append(found["peak"])
        return found["seconds"]

    ways = {"bare": lambda: noted("bare", _bare()), "turnout": lambda: noted("turnout", _turnout())}
    if earlier := before(BEFORE):
        ways["before"] = lambda: _turnout("", PYTHONPATH=str(earlier))["seconds"]
    seconds = medians(ways, max(REPEATS, 5))
    peaks = {name: sorted(values)[len(values) // 2] for name, values in taken.items()}
    time, memory = seconds["turnout"] / seconds["bare"], peaks["turnout"] / peaks["bare"]
    results = [
        Result(
            "A data frame of 2 million rows between two steps: time",
            f"{time:.2f} times pyarrow's own processor time",
            f"≤ {TARGET} times",
            time <= TARGET,
            f"{seconds['turnout']:.2f} s in the worker from the frame that is returned to the frame that is given, with "
            f"digests, verification, profile and records; {seconds['bare']:.2f} s for `write_table` and `read_table`, to "
            "and from pandas, in one script; seven columns of numbers, times, texts and bools",
        ),
        Result(
            "The same: memory",
            f"{memory:.2f} times the peak memory of pyarrow alone",
            f"≤ {TARGET} times",
            memory <= TARGET,
            f"{peaks['turnout'] / 1024:.0f} MiB in the worker, {peaks['bare'] / 1024:.0f} MiB in the script",
        ),
    ]
    if earlier:
        results.append(_against_before(seconds["turnout"], seconds["before"]))
    return results


def _against_before(now: float, then: float) -> Result:
    return Result(
        "The same: what it costs that every value arrives as it was given",
        f"{now / then:.2f} times the version that compared nothing",
        f"≤ {BEFORE_TARGET} times",
        now / then <= BEFORE_TARGET,
        f"{now:.2f} s against {then:.2f} s with the core of revision {BEFORE}",
    )


def _bare() -> dict[str, float]:
    folder = project("")
    (folder / "bare.py").write_text(BARE)
    found: dict[str, float] = json.loads(run([sys.executable, "bare.py"], folder).output)
    shutil.rmtree(folder)
    return found


def _turnout(isolation: str = "worker", **environ: str) -> dict[str, float]:
    folder = project(FLOW, workers=1, isolation=isolation)
    document = json.loads(turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=folder, **environ).output)
    shutil.rmtree(folder)
    return {name: float(value) for name, value in document["metrics"].items()}
