"""What a step costs beside its own work: a thousand steps that do nothing, committed with their lineage."""

from __future__ import annotations

import json
import statistics
from itertools import pairwise
from pathlib import Path

from measure import REPEATS, Result, medians, project, python, turnout

from turnout.base import clock

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
SHARE = 0.05
FORK = """
import os, resource, sys, turnout.runtime.server, turnout.base.python_gc
sys.path.insert(0, "")
turnout.base.python_gc.keep()
before = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
for _ in range(200):
    pid = os.fork()
    if not pid:
        if os.environ.get("IMPORT"):
            __import__(os.environ["IMPORT"])
        os._exit(0)
    os.waitpid(pid, 0)
after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after)) / 200)
"""
"""Prints the seconds that a forked process costs which does nothing, or imports a module."""


def measure() -> list[Result]:
    """The processor time of ``turnout run`` a step: in a process of its own, in one that is shared, and cached."""
    return [*_alone(), *_shared(), _cached()]


def _alone() -> list[Result]:
    """What a process for each step costs beside a fork that imports a module, as a part of an empty interpreter."""
    folder = project("")
    found = medians(
        {
            "step": lambda: _run(1000) / 1000,
            "worker": lambda: _run(1000, shared=True) / 1000,
            "fork": lambda: float(python(FORK, folder).output),
            "import": lambda: float(python(FORK, folder, IMPORT="flow").output),
            "empty": lambda: min(python("").cpu for _ in range(5)),
            "between": _between,
            "between in a worker": lambda: _between(shared=True),
            "wall": lambda: min(python("").wall for _ in range(5)),
        }
    )
    longer = found["between"] - found["between in a worker"]
    share = (found["step"] - found["worker"] - found["import"]) / found["empty"]
    return [
        Result(
            "A step that does nothing, in a process of its own",
            f"{share:.2f} of an empty interpreter, beside a fork that imports a module",
            f"≤ {SHARE:g}",
            share <= SHARE,
            f"{1000 * found['step']:.2f} ms a step, {1000 * found['worker']:.2f} ms with isolation: worker; a fork "
            f"{1000 * found['fork']:.2f} ms, one that imports an empty module {1000 * found['import']:.2f} ms, an "
            f"empty interpreter {1000 * found['empty']:.2f} ms",
        ),
        Result(
            "The same: time from the end of a step to the start of the next",
            f"{longer / found['wall']:.2f} of an empty interpreter longer than with isolation: worker",
            "",
            None,
            f"one worker, the next process forked ahead: {1000 * found['between']:.2f} ms against "
            f"{1000 * found['between in a worker']:.2f} ms, an empty interpreter {1000 * found['wall']:.2f} ms",
        ),
    ]


def _between(*, shared: bool = False) -> float:
    """The seconds between two steps, the median of many: committing the one and deciding on the other are in it."""
    folder = project(SOURCE, workers=1, isolation="worker" if shared else "")
    _run(200, folder)
    records = [json.loads(path.read_bytes()) for path in folder.glob(".turnout/store/*/runs/*/steps/*/record.json")]
    times = sorted((clock.parse(record["started"]), clock.parse(record["ended"])) for record in records)
    return statistics.median((start - end).total_seconds() for (_, end), (start, _) in pairwise(times))


def _shared() -> list[Result]:
    """For three sizes, in processes that steps share."""
    found = medians({str(size): lambda size=size: _run(size, shared=True) for size in SIZES}, max(REPEATS, 5))  # type: ignore[misc]
    each = {size: 1000 * found[str(size)] / size for size in SIZES}
    growth = each[10_000] / each[1000]
    sizes = "; ".join(f"{size:,} steps: {found[str(size)]:.2f} s, {each[size]:.2f} ms a step" for size in SIZES)
    return [
        Result(
            "1,000 steps that do nothing, with isolation: worker",
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


def _run(size: int, folder: Path | None = None, *, shared: bool = False) -> float:
    folder = folder or project(SOURCE)
    if shared:
        stack = folder / "stack.yaml"
        stack.write_text(stack.read_text().replace("workers: 2", "workers: 2, isolation: worker"))
    return turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=folder, STEPS=str(size)).cpu
