"""What a start costs, against an interpreter that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import REPEATS, Result, fresh, medians, run

TARGET = 8.0
EACH = 10


def measure() -> list[Result]:
    """The processor time of ``turnout --help`` and ``import turnout``, in times of an empty interpreter's."""
    scripts, _ = fresh()
    where = "in a fresh environment" if scripts else "in the environment of the developers, with its plugins"
    scripts = scripts or Path(sys.executable).parent

    def mean(*arguments: str) -> float:
        return sum(run([str(scripts / arguments[0]), *arguments[1:]]).cpu for _ in range(EACH)) / EACH

    found = medians(
        {
            "empty": lambda: mean("python", "-c", "pass"),
            "import": lambda: mean("python", "-c", "import turnout"),
            "help": lambda: mean("turnout", "--help"),
        },
        max(REPEATS, 5),
    )
    empty = found["empty"]
    return [
        _result("`turnout --help`", found["help"], empty, where),
        _result("`import turnout`", found["import"], empty, where),
    ]


def _result(name: str, cpu: float, empty: float, where: str) -> Result:
    return Result(
        name,
        f"{cpu / empty:.1f} times an empty interpreter",
        f"≤ {TARGET:g} times",
        cpu / empty <= TARGET,
        f"{1000 * cpu:.0f} ms of processor time against {1000 * empty:.0f} ms; each the mean of {EACH} starts, {where}",
    )
