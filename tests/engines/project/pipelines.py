"""Five small pipelines that together use everything an engine has to carry across the boundary."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from turnout import LOGICAL_TIME, File, pipeline, step, when


@step
def load(path: File, rows: int) -> pd.DataFrame:
    """A table: the file's lines, *rows* times over."""
    colours = pd.read_csv(path, names=["colour", "weight"])
    return pd.concat([colours] * rows, ignore_index=True)


@step
def split(table: pd.DataFrame) -> tuple[Annotated[pd.DataFrame, "heavy"], Annotated[pd.DataFrame, "light"]]:
    """Two tables."""
    heavy = table["weight"] > 1
    return table[heavy].reset_index(drop=True), table[~heavy].reset_index(drop=True)


@step
def weigh(heavy: pd.DataFrame) -> np.ndarray:
    """An array."""
    return heavy["weight"].to_numpy(dtype=np.float64) ** 2


@step
def count(light: pd.DataFrame) -> dict[str, int]:
    """A JSON object."""
    return {"rows": len(light), "total": int(light["weight"].sum())}


@step
def join(weights: np.ndarray, counts: dict[str, int]) -> float:
    """A number."""
    return float(weights.sum()) + counts["total"]


@pipeline
def diamond(path: File = "data/colours.csv", rows: int = 2):
    """One step, two outputs, two branches, one end."""
    parts = split(load(path, rows))
    join(weigh(parts.heavy), count(parts.light))


@step
def numbers(count: int) -> list[int]:
    """As many elements as the run asks for."""
    return list(range(1, count + 1))


@step
def square(number: int, *, factor: int) -> int:
    """One element to one element."""
    return factor * number * number


@step
def label(number: int) -> str:
    """A chained map: the same index again."""
    return f"#{number}"


@step
def total(squares: list[int], labels: list[str]) -> dict[str, Any]:
    """The fan-in: all elements in the order of their index."""
    return {"sum": sum(squares), "labels": labels}


@pipeline
def fan(count: int = 3, factor: int = 2):
    """A map, a map of the map, and a collector; with a count of 0 the map is empty and the collector still runs."""
    squares = square.map(numbers(count), factor=factor)
    labels = label.map(squares)
    total(squares, labels)


@step
def measure(score: float) -> dict[str, float]:
    """What the guards decide on."""
    return {"score": score, "spread": score / 2}


@step
def publish(report: dict[str, float]) -> str:
    """Guarded."""
    return f"published at {report['score']}"


@step
def celebrate(published: str) -> str:
    """Guarded twice."""
    return published.upper()


@step
def alert(report: dict[str, float]) -> str:
    """Guarded by the contrary."""
    return f"only {report['score']}"


@step
def summary(report: dict[str, float], published: str | None, alerted: str | None) -> dict[str, Any]:
    """Takes None from a step that was skipped."""
    return {"score": report["score"], "published": published, "alerted": alerted}


@step
def archive(published: str) -> str:
    """Needs what may be skipped, and is then skipped itself."""
    return f"archived: {published}"


@pipeline
def guards(score: float = 0.5, threshold: float = 0.4):
    """A guard, one within it, its contrary, and two consumers of guarded steps."""
    report = measure(score)
    with when(report["score"] > threshold, name="good"):
        published = publish(report)
        with when(report["spread"] > threshold, name="great"):
            celebrate(published)
    with when(report["score"] <= threshold, name="bad"):
        alerted = alert(report)
    summary(report, published, alerted)
    archive(published)


@step(retries=2, retry_delay=1)
def flaky(scratch: str, failures: int) -> str:
    """Fails so many times and then succeeds; *scratch* is where it remembers."""
    attempts = Path(scratch)
    attempts.mkdir(parents=True, exist_ok=True)
    made = len(list(attempts.iterdir()))
    (attempts / f"attempt-{made}").touch()
    if made < failures:
        raise ConnectionError(f"attempt {made} is made to fail")
    return f"attempt {made}"


@step
def after(outcome: str) -> str:
    """Runs once, after the retry."""
    return f"{outcome} was enough"


@pipeline
def retry(scratch: str, failures: int = 1):
    """A step that the engine has to try again."""
    after(flaky(scratch, failures))


@step
def describe(
    whole: int,
    big: int,
    ratio: float,
    flag: bool,
    text: str,
    moment: datetime,
    day: date,
    items: list[int],
    table: dict[str, float],
    logical: datetime,
) -> dict[str, Any]:
    """What each parameter was when it arrived, its Python type included."""
    given = {
        "whole": whole,
        "big": big,
        "ratio": ratio,
        "flag": flag,
        "text": text,
        "moment": moment,
        "day": day,
        "items": items,
        "table": table,
        "logical": logical,
    }
    return {name: [type(value).__name__, repr(value)] for name, value in given.items()}


@step
def read(path: File, fallback: File) -> str:
    """The contents of a file given at run time, and of one that is the default."""
    return path.read_text(encoding="utf-8") + fallback.read_text(encoding="utf-8")


@pipeline
def parameters(
    path: File,
    big: int,
    text: str,
    whole: int = 1,
    ratio: float = 0.1,
    flag: bool = False,
    moment: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc),
    day: date = date(2026, 1, 1),
    items: list[int] = [1],  # noqa: B006 - a parameter's default
    table: dict[str, float] = {"a": 1.0},  # noqa: B006 - a parameter's default
    fallback: File = "data/default.txt",
    logical: datetime = LOGICAL_TIME,
):
    """A parameter of every type, given at run time."""
    describe(whole, big, ratio, flag, text, moment, day, items, table, logical)
    read(path, fallback)
