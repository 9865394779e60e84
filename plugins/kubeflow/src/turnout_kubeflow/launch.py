"""What a task of Kubeflow starts: it calls the runtime, and tells Kubeflow in its own words what came of it.

``python -m turnout_kubeflow.launch --executor-input JSON``; the variables ``TURNOUT_PLAN`` and ``TURNOUT_STEP`` (none:
the end of the run) say what is called. Needs nothing of Kubeflow.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnout.plugin_api import ENGINE_RUN, Answer, Exit, Options, Submission, call, output_metadata
from turnout_kubeflow import artifacts, inputs
from turnout_kubeflow.pipeline import INDEX, PLACEHOLDERS, RUN, TIME, VALUE


class Task:
    """A task of Kubeflow's: what Kubeflow gave, and where it waits for the answer."""

    def __init__(self, given: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.plan = environ["TURNOUT_PLAN"]
        self.step = environ.get("TURNOUT_STEP", "")
        self.outputs: Mapping[str, Any] = given.get("outputs", {})
        values = dict(given.get("inputs", {}).get("parameterValues", {}))
        index = values.pop(INDEX, None)
        self.index = None if index is None else int(float(index))
        known = json.loads(values.pop(inputs.SUBMISSION, None) or "{}")
        told = {name: values.pop(name, "") for name in PLACEHOLDERS}
        told.update({name: "" for name, value in told.items() if value == PLACEHOLDERS[name]})
        self.engine_run = environ.get(ENGINE_RUN) or told[RUN]
        self.timeout = float(environ["TURNOUT_TIMEOUT"]) if "TURNOUT_TIMEOUT" in environ else None
        options = {"at": told[TIME] or None, "started_by": "kubeflow", **known.get("options", {})}
        if page := known.get("page"):
            options["engine_url"] = f"{page}{self.engine_run}"
        self.submission = Submission(
            params=_params(values, known, environ.get("TURNOUT_JSON_INPUTS", "").split(",")),
            options=msgspec.convert(options, Options),
        )

    def run(self) -> int:
        """Call the runtime, answer Kubeflow and return the exit code: a skip is a success to Kubeflow."""
        answer = call(self.plan, self.engine_run, self.submission, self.step, self.index, timeout=self.timeout)
        if answer.code not in {Exit.COMMITTED, Exit.SKIPPED}:
            return answer.code
        if self.step:
            file = Path(self.outputs["outputFile"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(self.told(answer)), encoding="utf-8")
        return 0

    def told(self, answer: Answer) -> dict[str, Any]:
        """What came of the step as Kubeflow's executors write it: a bool, indices, and artifacts with our digests.

        The address of an output's content is in its metadata: Kubeflow's own of the artifact must stay in Kubeflow's
        store, into which its launcher uploads what lies there.
        """
        result, record = answer.result, answer.record
        assert result is not None
        assert record is not None
        parameters: dict[str, Any] = {}
        for name in self.outputs.get("parameters", {}):
            if name == VALUE:
                parameters[name] = result.values.get(self.step, False)
            else:
                parameters[name] = list(range(result.elements.get(name.removesuffix("-indices"), 0)))
        found = {}
        for name, given in self.outputs.get("artifacts", {}).items():
            artifact = dict(given["artifacts"][0])
            artifact["metadata"] = {"run": record.run, "step": record.step, "state": record.state}
            if record.index is not None:
                artifact["metadata"]["index"] = record.index
            if name == artifacts.LOGGED:
                artifact["metadata"].update({point.name: point.value for point in record.logged.points})
            elif output := record.outputs.get(name):
                artifact["metadata"].update(output_metadata(output, answer.store))
            found[name] = {"artifacts": [artifact]}
        return {"parameterValues": parameters, "artifacts": found}


def main(arguments: list[str] | None = None) -> int:
    """Make the call that the command line and the variables describe."""
    parser = argparse.ArgumentParser(prog="python -m turnout_kubeflow.launch", description=__doc__)
    parser.add_argument("--executor-input", required=True, help="what Kubeflow tells of the task (JSON)")
    options = parser.parse_args(arguments)
    task = Task(json.loads(options.executor_input), os.environ)
    if not task.engine_run:
        print("turnout: Kubeflow does not tell its id of the run: this back end cannot run pipelines", file=sys.stderr)
        return 2
    return task.run()


def _params(values: Mapping[str, Any], known: Mapping[str, Any], texts: list[str]) -> dict[str, Any]:
    """The parameters by their own names: those of *texts* are JSON, and what the submitter knows better counts."""
    params: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or name == "task-status":
            continue
        param = name[:-1] if name.rstrip("_") == inputs.SUBMISSION else name
        params[param] = json.loads(value) if param in texts and isinstance(value, str) else value
    return {**params, **known.get("params", {})}


if __name__ == "__main__":
    sys.exit(main())
