"""The file of a job, as a person would write it: a call for each step, values as literals, no logic."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from turnout.plugin_api import Element, Graph, ParamSpec, Plan, StepPlan, pysource

_HEAD = '''\
"""A pipeline of turnout as a job of Beam.

    python job.py --help
    python job.py --runner=DirectRunner

Made by turnout: change the pipeline, not this file.
"""

from pathlib import Path

from turnout_beam import Job

'''
_END = """\


if __name__ == "__main__":
    raise SystemExit(job.main(steps))
"""
_RESERVED = {"job", "run", "steps", "Job", "Path"}


def rendered(plan: Plan) -> str:
    """The text of ``job.py``."""
    about = {name: text for name, text in _about(plan).items() if text}
    lines = [
        pysource.laid(pysource.call("job = Job", pysource.Code("Path(__file__).parent"), **about)),
        *(_parameter(param) for param in plan.given_params),
        "",
        "",
        "def steps(run):",
        *(f"    {line}" for line in _steps(plan)),
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines) + _END


def _about(plan: Plan) -> dict[str, str]:
    return {"project": plan.project, "name": plan.name, "plan": plan.digest, "doc": plan.doc.strip()}


def _parameter(param: ParamSpec) -> str:
    words = {}
    if not param.required:
        words["default"] = json.dumps(param.default, ensure_ascii=False)
    if param.doc:
        words["help"] = param.doc
    return pysource.laid(pysource.call("job.parameter", param.name, str(param.type), **words))


def _steps(plan: Plan) -> list[str]:
    """The calls that lay out the steps, each after those that it needs."""
    graph = Graph(plan)
    variables = pysource.distinct({step.name: step.name.replace(".", "_") for step in plan.steps}, _RESERVED)
    lines = []
    for step in plan.steps:
        function = f"{variables[step.name]} = run.{'map' if step.mapped else 'step'}"
        lines.append(pysource.call(function, step.name, **_place(graph, step, variables), **_limits(step)))
    ends = [pysource.Code(variables[name]) for name in _settled(graph, graph.ends)]
    return [pysource.laid(line, indent=4) for line in [*lines, pysource.call("run.end", *ends)]]


def _place(graph: Graph, step: StepPlan, variables: dict[str, str]) -> dict[str, Any]:
    """What the step is called for, and what it comes after."""
    words: dict[str, Any] = {}
    after = list(step.upstream)
    if step.mapped:
        over = next(given.source.step for given in step.inputs.values() if isinstance(given.source, Element))
        after.remove(over)
        words["over"] = pysource.Code(variables[over])
        if not graph.plan.by_name[over].mapped:
            words["output"] = graph.roots[step.name][1]
    if after:
        words["after"] = [pysource.Code(variables[name]) for name in _settled(graph, after)]
    return words


def _settled(graph: Graph, names: Iterable[str]) -> list[str]:
    """Steps whose outcomes say whether all of *names* went well: of a list that was never made, its own step's does."""
    steps: dict[str, None] = {}
    for name in names:
        steps[name] = None
        if name in graph.roots:
            steps[graph.roots[name][0]] = None
    return list(steps)


def _limits(step: StepPlan) -> dict[str, Any]:
    words: dict[str, Any] = {}
    if step.retry.count:
        words["retries"] = step.retry.count
        if step.retry.delay:
            words["delay"] = step.retry.delay
        if step.retry.backoff != 1:
            words["backoff"] = step.retry.backoff
    if step.timeout is not None:
        words["timeout"] = step.timeout
    return words
