"""The benchmarks: each is a ratio, or a budget, measured within one run. Prints them and writes docs/benchmarks.md.

Usage: ``python tests/benchmarks/run.py [NAME…]``. With names (startup, planning, steps, …) only
those are measured, and nothing is written.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from pathlib import Path

import airflow_dags
import arrays
import fanout
import feast_stores
import features
import frames
import listing
import microservice
import parallel
import pickles
import planning
import serving
import startup
import steps
import tracking
from measure import REPEATS, Result

ALL = {
    "startup": startup,
    "planning": planning,
    "steps": steps,
    "fanout": fanout,
    "parallel": parallel,
    "arrays": arrays,
    "frames": frames,
    "features": features,
    "feast": feast_stores,
    "pickles": pickles,
    "tracking": tracking,
    "listing": listing,
    "serving": serving,
    "airflow": airflow_dags,
    "microservice": microservice,
}
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
TEXT = """# Benchmarks

Made by `make bench`: this page is written by it, figures and all. What counts are the ratios, each of two things
measured in turn in the same run; seconds and milliseconds are for orientation only. Where the time goes, and what was
done about it, is told in [profiles.md](profiles.md).

{machine}

| what | result | target | met |
|---|---|---|---|
{rows}

## The figures behind them

{details}

## How it is measured

- Each figure is the median of {repeats} or more. What is compared is measured in turn, so that whatever else the
  machine does meets all alike.
- Processor time is user and system time of a process and of all it started, as the kernel counts it when they have
  ended. Interpreters keep their bytecode, as they do wherever a package is installed.
- Nothing large should have been removed from the disk in the five minutes before: ext4 passes over the inodes of files that were
  deleted lately one by one, and making a file takes up to twice as long.
- Runs go through the command `turnout run --json` on the local stack with two workers and a fresh store: planning, the
  starts of the workers, the records of every step with its lineage and the summary at the end are all in it. The steps
  that do nothing are two chains, each step reading what the one before it made.
- The computation is a loop of integer arithmetic, made to take about {seconds:g} seconds a step on the machine.
- Airflow parses DAG files by its `DagBag`, in one process that has imported it before: the exported one, and two written by hand
  of the same tasks, edges and parameter, one with an operator a task (which is the one it is held to) and one with a function.
- Endpoints are asked by wrk on loopback: one core answers, the other asks, all servers are up at once and take turns of a second.
  The applications of FastAPI are written by hand around the same model and features, and run by uvicorn with httptools and uvloop, as
  an endpoint does. To measure them alone: `python tests/benchmarks/run.py serving`, with `BENCH_ROUNDS` for more rounds.
- Peak memory is the largest resident set of the one worker that runs the steps. It includes turnout itself, as the
  script's includes numpy.
"""


def main(names: list[str]) -> int:
    """Measure, print, write; 1 when a target is missed."""
    load = os.getloadavg()[0]
    results: list[Result] = []
    for name in names or ALL:
        for result in ALL[name].measure():
            print(
                f"{_met(result):>4}  {result.name}: {result.value} ({result.target})\n      {result.detail}", flush=True
            )
            results.append(result)
    if not names:
        PAGE.write_text(_page(results, load), encoding="utf-8")
    return int(any(result.met is False for result in results))


def _page(results: list[Result], load: float) -> str:
    return TEXT.format(
        machine=_machine(load),
        rows="\n".join(f"| {one.name} | {one.value} | {one.target} | {_met(one)} |" for one in results),
        details="\n".join(f"- {one.name}: {one.detail}." for one in results),
        repeats=max(REPEATS, 5),
        seconds=parallel.SECONDS,
    )


def _met(result: Result) -> str:
    unheld = "not measured" if result.target else ""
    return {True: "yes", False: "no", None: unheld}[result.met]


def _machine(load: float) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    return (
        f"Measured on {today}: {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} "
        f"{platform.release().partition('-')[0]}, Python {platform.python_version()}. The load average before it began was "
        f"{load:.1f}: {'other work shared the cores' if load > 0.5 else 'the machine was quiet'}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
