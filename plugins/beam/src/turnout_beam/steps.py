"""What the transforms of a job call, on whatever worker Beam runs them: steps, with their retries, and the run's end.

The elements that pass between transforms are outcomes: plain dictionaries, so that any runner can carry them. A failure
is an outcome, too: an exception would end branches that have nothing to do with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from turnout.plugin_api import Executors, Retry, RunError, StepResult

Outcome = dict[str, Any]
"""``index``: the element, or None; ``failed``: why this step, or the first before it that did, has failed; ``lists``:
how many elements each list output has."""
START: Outcome = {"index": None, "failed": "", "lists": {}}
_executors = Executors()


class Run(msgspec.Struct, frozen=True):
    """The run that a job makes: what workers are told of it.

    ``variables`` lead to the store, where a worker's environment does not.
    """

    plan: str
    engine_run: str
    submission: str
    variables: dict[str, str]
    isolation: Literal["step", "process"] = "step"


class Step(msgspec.Struct, frozen=True):
    """A step of the pipeline, as the engine sees it."""

    name: str
    retry: Retry = Retry()
    timeout: float | None = None


def run_step(element: Outcome, run: Run, step: Step, *before: Any) -> Outcome:
    """Run a step, or one element of a mapped one, unless something before it has failed.

    Args:
        element: the outcome before, which says the index of a mapped step.
        before: the outcomes of all that it comes after.
    """
    index = element["index"]
    outcomes = [element, *(outcome for outcomes in before for outcome in outcomes)]
    failed = next((outcome["failed"] for outcome in outcomes if outcome["failed"]), "")
    if failed:
        return {**START, "index": index, "failed": failed}
    for name, value in run.variables.items():
        os.environ.setdefault(name, value)
    number = 1
    while (result := _call(run, step, index)).state == "failed":
        if not result.retryable or number > step.retry.count:
            label = step.name if index is None else f"{step.name}.{index}"
            return {**START, "index": index, "failed": f"{label} failed: {result.message}"}
        time.sleep(step.retry.wait(number))
        number += 1
    return {"index": index, "failed": "", "lists": dict(result.elements)}


def elements(outcome: Outcome, output: str) -> Iterator[Outcome]:
    """The elements of a list that is mapped over; none where its step has failed or was skipped."""
    for index in range(outcome["lists"].get(output, 0)):
        yield {**START, "index": index}


def end(element: Outcome, *before: Any) -> None:
    """Fail the job where a step has failed.

    Raises:
        RuntimeError: names the first step that did, which is the reason for the others.
    """
    failed = sorted({outcome["failed"] for outcomes in before for outcome in outcomes} - {""})
    if failed:
        raise RuntimeError(f"the run has failed: {'; '.join(failed)}")
    del element


def close() -> None:
    """End the processes that this one keeps for steps."""
    _executors.close()


def _call(run: Run, step: Step, index: int | None) -> StepResult:
    try:
        with _executors.of(run.plan, run.engine_run, run.submission, run.isolation) as executor:
            return executor.run(step.name, index, timeout=step.timeout)
    except RunError as error:
        return StepResult(state="failed", retryable=True, message=str(error))
