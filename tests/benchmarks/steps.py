"""What a step costs beside its own work: a thousand steps that do nothing, committed with their lineage."""

from __future__ import annotations

from pathlib import Path

from measure import REPEATS, Result, medians, project, turnout

SOURCE = """
import os
from turnout import pipeline, step

@step
def add(x: int) -> int:
    return x + 1

@pipeline
def flow(start: int = 0):
    ends = [start, -1_000_000]  # two chains without a value in common: each step has a cache key of its own
    for number in range(int(os.environ["STEPS"])):
        ends[number % 2] = add.named(f"s{number}")(ends[number % 2])
"""
CACHED_SOURCE = SOURCE.replace("@step\n", "@step(cache=True)  # the first two, too, that read but a parameter\n")
SIZES = (10, 1000, 10_000)
TARGET = 2.0
CACHED = 1.0
GROWTH = 1.5


def measure() -> list[Result]:
    """The processor time of ``turnout run`` a step, for three sizes, and for two when all of it is cached."""
    found = medians({str(size): lambda size=size: _run(size) for size in SIZES}, max(REPEATS, 5))  # type: ignore[misc]
    each = {size: 1000 * found[str(size)] / size for size in SIZES}
    growth = each[10_000] / each[1000]
    sizes = "; ".join(f"{size:,} steps: {found[str(size)]:.2f} s, {each[size]:.2f} ms a step" for size in SIZES)
    return [
        Result(
            "1,000 steps that do nothing",
            f"{each[1000]:.2f} ms of processor time a step",
            f"≤ {TARGET:g} ms",
            each[1000] <= TARGET,
            "all of `turnout run`: planning, engine, two workers and their starts, the summary",
        ),
        Result(
            "The same for 10,000 steps",
            f"{growth:.2f} times as much a step as for 1,000",
            f"≤ {GROWTH} times",
            growth <= GROWTH,
            sizes,
        ),
        _cached(),
    ]


def _cached() -> Result:
    """The same pipeline once more, when all that it makes is known."""
    folders = {size: project(CACHED_SOURCE) for size in SIZES}
    for size, folder in folders.items():
        _run(size, folder)
    found = medians({str(size): lambda size=size: _run(size, folders[size]) for size in folders}, max(REPEATS, 5))  # type: ignore[misc]
    each = {size: 1000 * found[str(size)] / size for size in folders}
    return Result(
        "1,000 steps that are all in the cache",
        f"{each[1000]:.2f} ms of processor time a step",
        f"≤ {CACHED:g} ms",
        each[1000] <= CACHED,
        f"{each[10_000]:.2f} ms a step for 10,000, {found['10']:.2f} s for 10; planning and the summary are in it, as above; "
        "no worker is started",
    )


def _run(size: int, folder: Path | None = None) -> float:
    arguments = ("run", "flow.py", "--stack", "stack.yaml", "--json")
    return turnout(*arguments, folder=folder or project(SOURCE), STEPS=str(size)).cpu
