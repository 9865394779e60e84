"""What two workers gain on work for the processor, against a bare pool of two processes."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import REPEATS, Result, medians, project, python, run, turnout

WORK = """
def work(seed):
    found = seed
    for _ in range({count}):
        found = (found * 6364136223846793005 + 1442695040888963407) % 18446744073709551616
    return found
"""
SERIAL = """
from work import work
for seed in range(8):
    work(seed)
"""
POOL = """
from concurrent.futures import ProcessPoolExecutor
from work import work
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(work, range(8)))
"""
FLOW = """
from turnout import pipeline, step
from work import work

@step
def spend(seed: int) -> str:
    return str(work(seed))

@pipeline
def flow():
    for seed in range(8):
        spend.named(f"spend_{seed}")(seed)
"""
TARGET = 0.9
SECONDS = 1.5


def measure() -> list[Result]:
    """The speed-up of eight steps on two workers, as a share of the pool's."""
    folder = project(FLOW)
    count = _calibrate(folder)
    (folder / "work.py").write_text(WORK.format(count=count))
    for name, source in {"serial": SERIAL, "pool": POOL}.items():
        (folder / f"{name}.py").write_text(source)
    found = medians(
        {
            "serial": lambda: run([sys.executable, "serial.py"], folder).wall,
            "pool": lambda: run([sys.executable, "pool.py"], folder).wall,
            "turnout": lambda: turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=folder).wall,
        },
        max(REPEATS, 5),
    )
    gains = {name: found["serial"] / found[name] for name in ("pool", "turnout")}
    share = gains["turnout"] / gains["pool"]
    return [
        Result(
            "8 steps of computation on two workers",
            f"{share:.2f} of the speed-up of a bare pool",
            f"≥ {TARGET}",
            share >= TARGET,
            f"one after another {found['serial']:.1f} s; `ProcessPoolExecutor(2)` {found['pool']:.1f} s ({gains['pool']:.2f} times); "
            f"all of `turnout run` {found['turnout']:.1f} s ({gains['turnout']:.2f} times)",
        )
    ]


def _calibrate(folder: Path) -> int:
    """How many rounds take about :data:`SECONDS` on this machine."""
    count = 2_000_000
    (folder / "work.py").write_text(WORK.format(count=count))
    code = "import time; from work import work; t = time.perf_counter(); work(1); print(time.perf_counter() - t)"
    took = min(float(python(code, folder).output) for _ in range(3))
    return int(count * SECONDS / took)
