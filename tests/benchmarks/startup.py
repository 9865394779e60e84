"""What a start costs, against an interpreter that does nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from measure import REPEATS, Result, fresh, medians, project, run

from turnout.runtime import sealed

TARGET = 8.0
CALL = 16.0
EACH = 10


def measure() -> list[Result]:
    """The processor time of ``turnout --help``, ``import turnout`` and a worker, in times of an empty interpreter's."""
    scripts, _ = fresh()
    where = "in a fresh environment" if scripts else "in the environment of the developers, with its plugins"
    scripts = scripts or Path(sys.executable).parent

    def mean(*arguments: str) -> float:
        return sum(run([str(scripts / arguments[0]), *arguments[1:]]).cpu for _ in range(EACH)) / EACH

    call, environ = _committed(scripts)
    found = medians(
        {
            "empty": lambda: mean("python", "-c", "pass"),
            "import": lambda: mean("python", "-c", "import turnout"),
            "help": lambda: mean("turnout", "--help"),
            "step": lambda: sum(run([str(scripts / "python"), *call], **environ).cpu for _ in range(EACH)) / EACH,
        },
        max(REPEATS, 5),
    )
    empty = found["empty"]
    return [
        _result("`turnout --help`", found["help"], empty, where),
        _result("`import turnout`", found["import"], empty, where),
        _result("`python -m turnout.runtime step` of a committed step", found["step"], empty, where, CALL),
    ]


def _committed(scripts: Path) -> tuple[list[str], dict[str, str]]:
    """The call of a step that a run has committed, as an engine would make it, and the variables for it."""
    folder = project(
        "from turnout import pipeline, step\n\n@step\ndef one():\n    return 1\n\n@pipeline\ndef flow():\n    one()\n"
    )
    arguments = [str(scripts / "turnout"), "run", "flow.py", "--stack", "stack.yaml", "--json"]
    done = json.loads(run(arguments, folder).output)
    call = [
        "-m",
        "turnout.runtime",
        "step",
        "--plan",
        done["plan"],
        "--engine-run",
        done["engine_run"],
        "--step",
        "one",
    ]
    return call, {"TURNOUT_STORE": done["store"], **sealed.environment(1)}


def _result(name: str, cpu: float, empty: float, where: str, target: float = TARGET) -> Result:
    return Result(
        name,
        f"{cpu / empty:.1f} times an empty interpreter",
        f"≤ {target:g} times",
        cpu / empty <= target,
        f"{1000 * cpu:.0f} ms of processor time against {1000 * empty:.0f} ms; each the mean of {EACH} starts, {where}",
    )
