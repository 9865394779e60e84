"""What a mapped step costs: out to a hundred elements and in again, beside as many steps in chains."""

from __future__ import annotations

from measure import REPEATS, Result, medians, project, turnout

ELEMENTS = 100
MAPPED = f"""
from turnout import pipeline, step

@step
def numbers() -> list[int]:
    return list(range({ELEMENTS}))

@step
def add(x: int) -> int:
    return x + 1

@step
def total(values: list[int]) -> int:
    return sum(values)

@pipeline
def flow():
    total(add.map(numbers()))
"""
CHAINS = f"""
from turnout import pipeline, step

@step
def add(x: int) -> int:
    return x + 1

@pipeline
def flow(start: int = 0):
    ends = [start, start]
    for number in range({ELEMENTS + 2}):
        ends[number % 2] = add.named(f"s{{number}}")(ends[number % 2])
"""
TARGET = 1.2


def measure() -> list[Result]:
    """The processor time of a run of 1, 100 and 1 tasks beside one of 102 steps in two chains."""
    found = medians({"mapped": lambda: _run(MAPPED), "chains": lambda: _run(CHAINS)}, max(REPEATS, 5))
    ratio = found["mapped"] / found["chains"]
    return [
        Result(
            f"A map: 1 → {ELEMENTS} → 1",
            f"{ratio:.2f} times {ELEMENTS + 2} steps in chains",
            f"≤ {TARGET} times",
            ratio <= TARGET,
            f"processor time of `turnout run`: {found['mapped']:.2f} s against {found['chains']:.2f} s",
        )
    ]


def _run(source: str) -> float:
    return turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=project(source)).cpu
