"""Measuring a process and all it starts: processor time, wall time, and the middle of several."""

from __future__ import annotations

import atexit
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

REPEATS = max(1, int(os.environ.get("BENCH_REPEATS", "5")))
CORE = Path(__file__).parents[2] / "core"


class Usage(NamedTuple):
    """What a process took, in seconds: processor time (user and system, with all its descendants), and wall time."""

    cpu: float
    wall: float
    output: str


class Result(NamedTuple):
    """A row of the report."""

    name: str
    value: str
    target: str
    met: bool | None
    """None where there is nothing to hold it to (``target`` is empty then), or it could not be measured."""
    detail: str


def environment() -> dict[str, str]:
    """The environment of what is measured: bytecode is kept, as wherever it is installed, but not beside the sources."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "turnout-benchmarks-pycache")}


def run(arguments: list[str], folder: Path | None = None, **environ: str) -> Usage:
    """Run a command to its end and say what it took."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env={**environment(), **environ},
            stdout=output,
            stderr=errors,
            stdin=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
        if process.returncode:
            errors.seek(0)
            raise SystemExit(
                f"{arguments} ended with {process.returncode}:\n{text[-2000:]}\n{errors.read().decode()[-2000:]}"
            )
        return Usage(usage.ru_utime + usage.ru_stime, wall, text)


def python(code: str, folder: Path | None = None, **environ: str) -> Usage:
    """Run *code* in a fresh interpreter."""
    return run([sys.executable, "-c", code], folder, **environ)


def turnout(*arguments: str, folder: Path | None = None, **environ: str) -> Usage:
    """Run the command ``turnout``."""
    return run([str(Path(sys.executable).with_name("turnout")), *arguments], folder, **environ)


@lru_cache(maxsize=1)
def root() -> Path:
    """The folder of all projects, removed at the end: a file system is slow to give again what was just deleted."""
    folder = Path(tempfile.mkdtemp(prefix="turnout-benchmark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache(maxsize=1)
def fresh() -> tuple[Path | None, str]:
    """The scripts of a fresh environment with nothing but the core in it; None, and why, where no index answers."""
    from uv import find_uv_bin

    folder = root() / "fresh"
    interpreter = str(folder / "bin" / "python")
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", interpreter, str(CORE)],
    ):
        done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            return None, done.stderr.strip()[-200:]
    return folder / "bin", ""


@lru_cache(maxsize=4)
def before(revision: str) -> Path | None:
    """The core's sources as a revision of this repository had them; None where it is not in its history."""
    folder = root() / revision
    folder.mkdir()
    repository = ["git", "-C", str(CORE.parent)]
    archive = subprocess.run([*repository, "archive", revision, "core/src"], capture_output=True, check=False)
    if archive.returncode:
        return None
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive.stdout, check=True)
    return folder / "core" / "src"


def medians(measures: dict[str, Callable[[], float]], repeats: int = REPEATS) -> dict[str, float]:
    """The median of each measure; they are taken in turn, so that what else the machine does meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: statistics.median(values) for name, values in taken.items()}


def project(source: str, workers: int = 2, isolation: str = "") -> Path:
    """A new project of one module, ``flow.py``, with a stack of so many workers.

    Args:
        isolation: what runs a step, where it is not the default: a ``worker`` keeps count of several steps' usage.
    """
    folder = Path(tempfile.mkdtemp(dir=root()))
    (folder / "pyproject.toml").write_text("[project]\nname = 'benchmark'\nversion = '1'\n")
    (folder / "flow.py").write_text(source)
    isolated = f", isolation: {isolation}" if isolation else ""
    (folder / "stack.yaml").write_text(f"extends: local\norchestrator: {{type: local, workers: {workers}{isolated}}}\n")
    return folder
