"""Pipelines that show how Airflow behaves while they run: steps that fail, hang, are skipped, come in numbers."""

from __future__ import annotations

import os
import time
from pathlib import Path

from turnout import pipeline, step, when


@step(retries=2, retry_delay=1)
def flaky(scratch: str) -> int:
    """Fails once; *scratch* is where it remembers."""
    mark = Path(scratch, "tried")
    if not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        raise ConnectionError("made to fail once")
    return 1


@step
def numbers(count: int) -> list[int]:
    """So many elements."""
    return list(range(count))


@step
def square(number: int) -> int:
    """One element to one element."""
    return number * number


@step
def total(squares: list[int]) -> int:
    """The fan-in; 0 of nothing."""
    return sum(squares)


@step
def never(tries: int) -> int:
    """Guarded by what does not hold."""
    return tries


@step
def needs(given: int) -> int:
    """Needs what is skipped."""
    return given


@pipeline
def broad(scratch: str, count: int = 20):
    """A retry, a false guard, many mapped elements, an empty map."""
    tries = flaky(scratch)
    with when(tries > 100, name="enough"):
        unmade = never(tries)
    needs(unmade)
    total(square.map(numbers(count)))
    total.named("total_of_none")(square.named("square_none").map(numbers.named("none")(0)))


@step(timeout=15)
def slow(scratch: str) -> None:
    """Never ends by itself; leaves the id of its process."""
    _note(scratch, "slow")
    time.sleep(3600)


@step
def loud() -> int:
    """Says something and fails."""
    print("the table has 3 rows, and 4 were announced")
    raise RuntimeError("cannot go on with 3 rows")


@step
def lost(given: int) -> None:
    """Needs the one that failed."""


@pipeline
def troubled(scratch: str):
    """A step that takes too long, and one that fails."""
    slow(scratch)
    lost(loud())


@step
def hold(scratch: str) -> int:
    """Waits until it may go on."""
    _note(scratch, "hold")
    while not Path(scratch, "go").exists():
        time.sleep(0.1)
    return 1


@step
def tell(held: int) -> str:
    """Says which version of the project it is of."""
    print(f"held: {held}")
    return "the first version"


@pipeline
def patient(scratch: str):
    """One step that waits to be let go, and one after it."""
    tell(hold(scratch))


def _note(scratch: str, name: str) -> None:
    """Say by a file that a step has begun, and in which process."""
    folder = Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.part"
    partial.write_text(str(os.getpid()), encoding="utf-8")
    partial.replace(folder / name)
