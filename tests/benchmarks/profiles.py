"""Where the processor time of a run goes: each thread of each of its processes under cProfile, by part.

Usage: ``python tests/benchmarks/profiles.py [STEPS]``. Prints what docs/profiles.md tells of; writes nothing. The profiler
makes Python's calls look dearer than they are, against those of the system: the shares are a guide, not a measurement.
"""

from __future__ import annotations

import pstats
import sys
import tempfile
from pathlib import Path

from measure import project, turnout
from steps import CACHED_SOURCE

PARTS = {
    "submitter": (
        "definition/pipeline.py:trace",
        "planning/planner.py:make_plan",
        "environment/environment.py:lock",
        "planning/stepcode.py:step_code",
        "model/plan.py:_encoded",
        "stack/find.py:load_stack",
        "cli/summary.py:run_document",
    ),
    "engine": (
        "engines/local/engine.py:_take",
        "runtime/resolution.py:decide",
        "runtime/cache_key.py:key_parts",
        "runtime/cache.py:look_up",
        "stores/stored_run.py:commit",
        "engines/local/engine.py:_launch",
        "engines/local/engine.py:_wait",
        "runtime/finish.py:finish_run",
    ),
    "worker": (
        "runtime/step.py:run_step",
        "stores/local.py:create",
        "stores/local.py:_open_temporary",
        "stores/disk.py:link",
        "stores/local.py:read",
        "runtime/execution.py:_surroundings",
        "runtime/execution.py:_restore",
        "runtime/execution.py:_save",
        "runtime/server.py:_print_to",
        "runtime/resolution.py:decide",
        "runtime/cache_key.py:key_parts",
        "runtime/cache.py:look_up",
        "runtime/server.py:_open",
    ),
}
SITE = """
import atexit, cProfile, os, sys, threading, time

threads = []

def begin(role):
    threads.append((role, cProfile.Profile(time.thread_time)))
    threads[-1][1].enable()

def in_thread(*_):
    sys.setprofile(None)
    begin("engine")

def end():
    for number, (role, profile) in enumerate(threads):
        profile.disable()
        profile.dump_stats(os.path.join(os.environ["PROFILES"], f"{role}.{os.getpid()}.{number}"))

role = "worker" if "serve" in sys.orig_argv else "submitter" if "run" in sys.orig_argv else None
if role:
    threading.setprofile(in_thread)
    atexit.register(end)
    begin(role)
"""


def main(steps: str = "1000") -> None:
    """Profile a run and the same once more, from the cache."""
    folder = project(CACHED_SOURCE)
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    for name in ("a fresh run", "the same from the cache"):
        with tempfile.TemporaryDirectory() as profiles:
            environ = {"STEPS": steps, "PROFILES": profiles, "PYTHONPATH": str(site)}
            turnout("run", "flow.py", "--stack", "stack.yaml", "--json", folder=folder, **environ)
            print(f"{name}, {steps} steps")
            _show(Path(profiles))


def _show(profiles: Path) -> None:
    found = {role: [pstats.Stats(str(path)) for path in profiles.glob(f"{role}.*")] for role in PARTS}
    total = sum(one.total_tt for several in found.values() for one in several)  # type: ignore[attr-defined]
    for role, several in found.items():
        whole = sum(one.total_tt for one in several)  # type: ignore[attr-defined]
        print(f"  {role}: {whole / total:.0%}")
        shares = dict.fromkeys(PARTS[role], 0.0)
        for one in several:
            for (file, _, name), (_, _, _, cumulative, _) in one.stats.items():  # type: ignore[attr-defined]
                part = f"{file.rpartition('/turnout/')[2]}:{name}"
                if part in shares:
                    shares[part] += cumulative / whole
        for part, share in shares.items():
            print(f"    {share:4.0%}  {part}")


if __name__ == "__main__":
    main(*sys.argv[1:])
