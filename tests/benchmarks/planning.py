"""What planning costs a step, and how many packages the core brings."""

from __future__ import annotations

from measure import REPEATS, Result, fresh, medians, project, python, run
from steps import SOURCE

SIZES = (1000, 10_000)
GROWTH = 1.5
BUDGET = 15
PLAN = """
import time
from flow import flow
from turnout.api.launch import Launch
began = time.process_time()
assert Launch.of(flow, stack="stack.yaml").plan.digest
print(time.process_time() - began)
"""


def measure() -> list[Result]:
    """The processor time of planning a step, and the packages of a fresh environment."""
    return [_planning(), _packages()]


def _planning() -> Result:
    folder = project(SOURCE)
    found = medians(
        {str(size): lambda size=size: float(python(PLAN, folder, STEPS=str(size)).output) for size in SIZES},  # type: ignore[misc]
        max(REPEATS, 5),
    )
    each = {size: 1000 * found[str(size)] / size for size in SIZES}
    growth = each[10_000] / each[1000]
    return Result(
        "Planning 10,000 steps",
        f"{growth:.2f} times as much a step as for 1,000",
        f"≤ {GROWTH} times",
        growth <= GROWTH,
        "; ".join(f"{size:,} steps: {found[str(size)]:.2f} s, {each[size]:.3f} ms a step" for size in SIZES),
    )


def _packages() -> Result:
    name, target = "Packages in a fresh environment of the core", f"≤ {BUDGET}"
    scripts, reason = fresh()
    if scripts is None:
        return Result(name, "not measured", target, None, f"no package index answered uv: {reason}")
    code = "from importlib.metadata import distributions; print(*(one.name for one in distributions()))"
    names = sorted(run([str(scripts / "python"), "-c", code]).output.split())
    return Result(name, str(len(names)), target, len(names) <= BUDGET, ", ".join(names))
