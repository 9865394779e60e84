"""What a step costs beside its own work: a thousand steps that do nothing, committed with their lineage."""

from __future__ import annotations

from measure import REPEATS, Result, medians, project, turnout

SOURCE = """
import os
from turnout import pipeline, step

@step
def add(x: int) -> int:
    return x + 1

@pipeline
def flow(start: int = 0):
    ends = [start, start]
    for number in range(int(os.environ["STEPS"])):
        ends[number % 2] = add.named(f"s{number}")(ends[number % 2])
"""
SIZES = (10, 1000, 10_000)
TARGET = 2.0
GROWTH = 1.5


def measure() -> list[Result]:
    """The processor time of ``turnout run`` a step, for three sizes."""
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
    ]


def _run(size: int) -> float:
    return turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=project(SOURCE), STEPS=str(size)).cpu
