"""A job: what the files that ``turnout export`` writes for Beam are made of."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypedDict

from turnout.plugin_api import (
    LOGS,
    Executor,
    Options,
    Retry,
    Submission,
    TurnoutError,
    encode,
    end_with_driver,
    finish,
    finished,
)
from turnout_beam import options, steps
from turnout_beam.steps import Run, Step

if TYPE_CHECKING:
    from typing_extensions import Unpack

ENVIRONMENT = "environment.json"
SUBMISSION = "--turnout-submission"
"""The option with a file that says which run a job makes, where turnout starts it."""


class Job:
    """A pipeline as a Beam job.

    Args:
        folder: where the job's file lies, and plan and code beside it.
        plan: the digest of the plan.
        doc: what the pipeline does.
    """

    def __init__(self, folder: Path, *, project: str, name: str, plan: str, doc: str = "") -> None:
        self.folder = folder
        self.project = project
        self.name = name
        self.plan = plan
        self.doc = doc
        self._params: list[tuple[str, str, str]] = []

    def parameter(self, name: str, type: str, *, default: str | None = None, help: str = "") -> None:  # noqa: A002
        """Declare a parameter, an option of the job. *default* is what it is where it is not given, in words."""
        said = "required" if default is None else f"{default} if not given"
        self._params.append((name, type, f"{help} ({type}, {said})".strip()))

    def main(self, build: Callable[[Steps], None], words: Sequence[str] | None = None) -> int:
        """Run the job as its command line says, and return its exit code: 0 where the run has succeeded.

        Args:
            build: lays out the steps.
        """
        try:
            return self._main(build, sys.argv[1:] if words is None else list(words))
        except TurnoutError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return 2

    def _main(self, build: Callable[[Steps], None], words: list[str]) -> int:
        known, rest = self._parser().parse_known_args(words)
        checked = options.checked(rest)
        run = self._run(vars(known))
        import apache_beam as beam

        pipeline = beam.Pipeline(options=checked)
        build(Steps(pipeline, run))
        if known.write_proto is not None:
            known.write_proto.write_bytes(pipeline.to_runner_api().SerializeToString())
            return 0
        options.see_job_service(checked)
        self._join(run)
        if known.turnout_submission is not None:
            end_with_driver()
        return self._follow(pipeline, run)

    def _follow(self, pipeline: Any, run: Run) -> int:
        """Start the job, wait for its end, and see that the end of the run is marked."""
        signal.signal(signal.SIGTERM, _interrupt)
        result = None
        try:
            result = pipeline.run()
            result.wait_until_finish()
            succeeded = True
        except KeyboardInterrupt:
            if result is not None:
                result.cancel()
            raise
        except Exception as error:
            print(f"{self.name}: {type(error).__name__}: {error}", file=sys.stderr)
            succeeded = False
        steps.close()
        code = finish(run.plan, run.engine_run, {**os.environ, "TURNOUT_PARAMS": run.submission})
        if LOGS in os.environ:
            finished(Path(os.environ[LOGS]))
        return 0 if succeeded and code == 0 else 1

    def _join(self, run: Run) -> None:
        """Put plan and code into the store, and join the run: a wrong parameter shows before Beam starts."""
        bundle = self.folder if (self.folder / ENVIRONMENT).exists() else None
        environ = {**os.environ, **run.variables, "TURNOUT_PARAMS": run.submission}
        Executor(run.plan, run.engine_run, environ, bundle=bundle).close()

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description=f"{self.doc}\n\nThe pipeline {self.name} of the project {self.project}.".strip(),
            epilog="Any option of Beam and its runners can be given besides, --runner first of all.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        taken = options.names()
        for name, _, text in self._params:
            flag = f"--param-{name}" if name in {*taken, "help", "at", "write-proto"} else f"--{name}"
            parser.add_argument(flag, dest=f"param {name}", metavar="VALUE", help=text.replace("%", "%%"))
        parser.add_argument("--at", metavar="TIME", help="the logical time of the run (ISO 8601); now if not given")
        parser.add_argument("--write-proto", type=Path, metavar="FILE", help="write the portable pipeline; run nothing")
        parser.add_argument(SUBMISSION, type=Path, help=argparse.SUPPRESS)
        return parser

    def _run(self, given: dict[str, Any]) -> Run:
        """The run that the command line asks for."""
        path = self.folder / ENVIRONMENT
        variables = json.loads(path.read_bytes()) if path.exists() else {}
        if "TURNOUT_STORE" in os.environ and not variables:
            variables = {"TURNOUT_STORE": os.environ["TURNOUT_STORE"]}
        if given["turnout_submission"] is not None:
            document = json.loads(given["turnout_submission"].read_bytes())
            submitted = json.dumps(document["submission"])
            return Run(self.plan, document["engine_run"], submitted, variables, document["isolation"])
        params = {name: given[f"param {name}"] for name, _, _ in self._params if given[f"param {name}"] is not None}
        at = given["at"] or datetime.now(timezone.utc).isoformat()
        submission = Submission(params=params, options=Options(at=at, started_by="beam"))
        return Run(self.plan, str(uuid.uuid4()), encode(submission).decode(), variables)


class Steps:
    """Lays out the steps of a run as transforms: one for each, named as the step is."""

    def __init__(self, pipeline: Any, run: Run) -> None:
        import apache_beam as beam

        self._run = run
        self._start = pipeline | "start of the run" >> beam.Create([steps.START])

    def step(self, name: str, *, after: Sequence[Any] = (), **limits: Unpack[Limits]) -> Any:
        """A step, once what it comes *after* has ended; returns its outcome, a collection of one."""
        return self._call(self._start, _step(name, **limits), after)

    def map(
        self,
        name: str,
        *,
        over: Any,
        output: str | None = None,
        after: Sequence[Any] = (),
        **limits: Unpack[Limits],
    ) -> Any:
        """A step once for each element; returns the outcomes of all.

        Args:
            over: a mapped step, whose elements it follows one by one, or the step whose list *output* it maps over.
        """
        import apache_beam as beam

        if output is not None:
            over |= f"{name}: elements" >> beam.FlatMap(steps.elements, output).with_output_types(dict[str, Any])
            over |= f"{name}: spread" >> beam.Reshuffle()
        return self._call(over, _step(name, **limits), after)

    def end(self, *last: Any) -> None:
        """Fail the job where a step has failed."""
        import apache_beam as beam
        from apache_beam.typehints.decorators import no_annotations

        ends = [beam.pvalue.AsIter(outcomes) for outcomes in last]
        _ = self._start | "end of the run" >> beam.Map(no_annotations(steps.end), *ends).with_output_types(type(None))

    def _call(self, elements: Any, step: Step, after: Sequence[Any]) -> Any:
        import apache_beam as beam
        from apache_beam.typehints.decorators import no_annotations  # it cannot read those of further arguments

        before = [beam.pvalue.AsIter(outcomes) for outcomes in after]
        call = beam.Map(no_annotations(steps.run_step), self._run, step, *before)
        return elements | step.name >> call.with_output_types(dict[str, Any])


class Limits(TypedDict, total=False):
    """How often, how long: ``delay`` is the seconds before the first retry, which ``backoff`` multiplies for each
    further one; ``timeout`` is in seconds."""

    retries: int
    delay: float
    backoff: float
    timeout: float


def _step(
    name: str,
    *,
    timeout: float | None = None,
    retries: int = 0,
    delay: float = 0.0,
    backoff: float = 1.0,
    max_delay: float | None = None,
) -> Step:
    return Step(name, Retry(count=retries, delay=delay, backoff=backoff, max_delay=max_delay), timeout)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
