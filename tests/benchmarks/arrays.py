"""The memory that a large array between two steps needs, against numpy's own save and mapped load."""

from __future__ import annotations

import shutil
import sys

from measure import REPEATS, Result, medians, project, run, turnout

ELEMENTS = 125_000_000
BARE = f"""
import resource
import numpy as np
array = np.ones({ELEMENTS})
np.save("array.npy", array)
del array
mapped = np.load("array.npy", mmap_mode="r")
assert mapped.sum() == {ELEMENTS}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
FLOW = f"""
import resource
import numpy as np
from turnout import pipeline, step

@step
def make() -> np.ndarray:
    return np.ones({ELEMENTS})

@step
def use(array: np.ndarray) -> float:
    return float(array.sum())

@step
def peak(after: float) -> int:
    assert after == {ELEMENTS}
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

@pipeline
def flow():
    peak(use(make()))
"""
TARGET = 1.1


def measure() -> list[Result]:
    """The peak resident memory of the one worker that makes, saves, maps and sums an array."""
    found = medians({"bare": _bare, "turnout": _turnout}, max(REPEATS, 5))
    ratio = found["turnout"] / found["bare"]
    return [
        Result(
            "A float64 array of 1 GB between two steps",
            f"{ratio:.3f} times the peak memory of numpy alone",
            f"≤ {TARGET} times",
            ratio <= TARGET,
            f"{found['turnout'] / 1024:.0f} MiB in the worker that runs both steps, {found['bare'] / 1024:.0f} MiB for "
            "`np.save` and `np.load(mmap_mode='r')` in one script",
        )
    ]


def _bare() -> float:
    folder = project("")
    (folder / "bare.py").write_text(BARE)
    peak = float(run([sys.executable, "bare.py"], folder).output)
    shutil.rmtree(folder)
    return peak


def _turnout() -> float:
    folder = project(FLOW, workers=1, isolation="worker")
    turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=folder)
    code = "import turnout; print(turnout.Run('latest', stack='stack.yaml')['peak'].load())"
    peak = float(run([sys.executable, "-c", code], folder).output)
    shutil.rmtree(folder)
    return peak
