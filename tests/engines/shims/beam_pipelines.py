"""The five pipelines as Beam transforms, written by hand: ``python beam_pipelines.py CASE.json [Beam's options]``.

A step is one ``Map`` over a single element; it comes after others by taking their outcomes as side inputs. With
``copies`` of that element every step is called as often, as a runner does that repeats a bundle.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsList


def call(run, *arguments):
    """Call the runtime and return its exit code and what it printed."""
    command = [run["python"], "-m", "turnout.runtime", *arguments, "--plan", run["plan"]]
    environment = {**os.environ, **run["environment"], "TURNOUT_PARAMS": json.dumps(run["submission"])}
    done = subprocess.run(
        [*command, "--engine-run", run["engine_run"]], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout)
    return done.returncode, done.stdout


def run_step(run, name, index=None, retries=0):
    """One step, tried again here: the DirectRunner tries nothing twice."""
    element = [] if index is None else ["--index", str(index)]
    while True:
        code, printed = call(run, "step", "--step", name, *element)
        if code in (0, 99):
            return json.loads(printed.splitlines()[-1])
        if code != 1 or not retries:
            raise RuntimeError(f"{name} ended with {code}")
        retries -= 1
        time.sleep(1)


class Steps:
    """The steps of one run as transforms of one Beam pipeline."""

    def __init__(self, pipeline, run):
        self.start = pipeline | beam.Create([None] * run["copies"]) | "spread" >> beam.Reshuffle()
        self.run = run

    def step(self, name, *upstream, retries=0):
        """A step after others, all elements of mapped ones included."""
        return self.start | name >> beam.Map(_after, self.run, name, retries, *map(AsList, upstream))

    def indices(self, name, source):
        """The indices of a list, spread over the workers."""
        return source | f"{name}.indices" >> beam.FlatMap(_indices) | f"{name}.spread" >> beam.Reshuffle()

    def mapped(self, name, indices):
        """A step once an element; what comes out is the index again, so that maps chain element by element."""
        return indices | name >> beam.Map(_element, self.run, name)


def _after(_, run, name, retries, *upstream):
    return run_step(run, name, retries=retries)


def _indices(outcome):
    return range(outcome.get("elements", {}).get("output", 0))


def _element(index, run, name):
    run_step(run, name, index)
    return index


def diamond(steps):
    split = steps.step("split", steps.step("load"))
    steps.step("join", steps.step("weigh", split), steps.step("count", split))


def fan(steps):
    squares = steps.mapped("square", steps.indices("square", steps.step("numbers")))
    steps.step("total", squares, steps.mapped("label", squares))


def guards(steps):
    """Every step is called: what is skipped is the runtime's to say."""
    measure = steps.step("measure")
    good, bad = steps.step("good", measure), steps.step("bad", measure)
    publish, alert = steps.step("publish", good), steps.step("alert", bad)
    great = steps.step("great", good)
    steps.step("celebrate", great, publish)
    steps.step("summary", publish, alert)
    steps.step("archive", publish)


def retry(steps):
    steps.step("after", steps.step("flaky", retries=2))


def parameters(steps):
    steps.step("describe")
    steps.step("read")


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        with beam.Pipeline(options=PipelineOptions(sys.argv[2:])) as pipeline:
            globals()[given["pipeline"]](Steps(pipeline, given))
    finally:
        code, _ = call(given, "finish")
    sys.exit(code)
