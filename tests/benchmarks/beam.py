"""What a step costs on Beam's DirectRunner: chained steps of ours beside plain ``Map``s with a side input, in one run.

``.venv-engines/bin/python tests/benchmarks/beam.py``; processor time of all processes, the least of three.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

COUNTS = (10, 200)
TARGET = 1.7
"""How much more than a plain ``Map`` a chained step may cost."""

PLAIN = """
import sys
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def same(element, *before):
    return [item for items in before for item in items][-1] if before else element


options = PipelineOptions(["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"])
with beam.Pipeline(options=options) as pipeline:
    start = pipeline | beam.Create([{}])
    before = start
    for number in range(int(sys.argv[1])):
        call = beam.Map(lambda element, *before: same(element, *before), beam.pvalue.AsIter(before))
        before = start | f"s{number}" >> call.with_output_types(dict[str, object])
"""


def module(count: int) -> str:
    """A project of chained steps that do nothing."""
    lines = ["from turnout import pipeline, step", "", "@step", "def first() -> int:", "    return 1", ""]
    lines += [
        "@step(cache=False)",
        "def next_(n: int) -> int:",
        "    return n",
        "",
        "@pipeline",
        "def chain():",
        "    n = first()",
    ]
    return "\n".join([*lines, *(f"    n = next_.named('s{number}')(n)" for number in range(count - 1))]) + "\n"


def seconds(command: list[str], folder: Path, **environ: str) -> float:
    """The processor time of a command and all that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env={**os.environ, **environ}, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(count: int, folder: Path) -> float:
    """The job of the pipeline, exported before, so that planning is not in it."""
    (folder / f"chain{count}.py").write_text(module(count))
    (folder / "beam.yaml").write_text("extends: local\norchestrator: {type: beam}\n")
    turnout = str(Path(sys.executable).with_name("turnout"))
    job = folder / f"job-{uuid.uuid4().hex}"
    command = [turnout, "export", f"chain{count}.py", "--stack", "beam.yaml", "-o", str(job)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return seconds([sys.executable, str(job / "job.py"), "--runner=DirectRunner"], folder)


def main() -> None:
    """Print a row for each side, and their ratio a step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plain.py").write_text(PLAIN)
        sides = {
            "plain Map": lambda count: seconds([sys.executable, "plain.py", str(count)], folder),
            "a step": lambda count: ours(count, folder),
        }
        each = {}
        for side, run in sides.items():
            few, many = (min(run(count) for _ in range(3)) for count in COUNTS)
            each[side] = (many - few) / (COUNTS[1] - COUNTS[0])
            print(
                f"{side}: {few:.2f} s for {COUNTS[0]}, {many:.2f} s for {COUNTS[1]}, {1000 * each[side]:.1f} ms a step"
            )
        ratio = each["a step"] / each["plain Map"]
        print(f"a step costs {ratio:.2f} times a plain Map (target {TARGET})")


if __name__ == "__main__":
    main()
