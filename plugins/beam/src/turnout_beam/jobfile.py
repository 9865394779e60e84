"""The file of a job, as a person would write it: a call for each step, values as literals, no logic."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable

from turnout.plugin_api import Element, Graph, ParamSpec, Plan, StepPlan

WIDTH = 88
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
    about = [f"{name}={_literal(text)}" for name, text in _about(plan).items() if text]
    lines = [
        *_call("job = Job(", ["Path(__file__).parent", *about]),
        *(line for param in plan.params if param.source == "value" for line in _parameter(param)),
        "",
        "",
        "def steps(run):",
        *(f"    {line}" for line in _steps(plan)),
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines) + _END


def _about(plan: Plan) -> dict[str, str]:
    return {"project": plan.project, "name": plan.name, "plan": plan.digest, "doc": plan.doc.strip()}


def _parameter(param: ParamSpec) -> list[str]:
    words = [_literal(param.name), _literal(str(param.type))]
    if not param.required:
        words.append(f"default={_literal(json.dumps(param.default, ensure_ascii=False))}")
    if param.doc:
        words.append(f"help={_literal(param.doc)}")
    return _call("job.parameter(", words)


def _steps(plan: Plan) -> list[str]:
    """The calls that lay out the steps, each after those that it needs."""
    graph, variables = Graph(plan), _variables(plan)
    lines = []
    for step in plan.steps:
        begin = f"{variables[step.name]} = run.{'map' if step.mapped else 'step'}("
        lines += _call(begin, [_literal(step.name), *_place(graph, step, variables), *_limits(step)], indent=4)
    return lines + _call("run.end(", [variables[name] for name in _settled(graph, graph.ends)], indent=4)


def _place(graph: Graph, step: StepPlan, variables: dict[str, str]) -> list[str]:
    """What the step is called for, and what it comes after."""
    words, after = [], list(step.upstream)
    if step.mapped:
        over = next(given.source.step for given in step.inputs.values() if isinstance(given.source, Element))
        after.remove(over)
        words.append(f"over={variables[over]}")
        if not graph.plan.by_name[over].mapped:
            words.append(f"output={_literal(graph.roots[step.name][1])}")
    if after:
        words.append(f"after=[{', '.join(variables[name] for name in _settled(graph, after))}]")
    return words


def _settled(graph: Graph, names: Iterable[str]) -> list[str]:
    """Steps whose outcomes say whether all of *names* went well: of a list that was never made, its own step's does."""
    steps: dict[str, None] = {}
    for name in names:
        steps[name] = None
        if name in graph.roots:
            steps[graph.roots[name][0]] = None
    return list(steps)


def _limits(step: StepPlan) -> list[str]:
    words = []
    if step.retry.count:
        words.append(f"retries={step.retry.count}")
        if step.retry.delay:
            words.append(f"delay={step.retry.delay!r}")
        if step.retry.backoff != 1:
            words.append(f"backoff={step.retry.backoff!r}")
    if step.timeout is not None:
        words.append(f"timeout={step.timeout!r}")
    return words


def _variables(plan: Plan) -> dict[str, str]:
    """A variable for each step."""
    variables: dict[str, str] = {}
    for step in plan.steps:
        name = step.name.replace(".", "_")
        while name in variables.values() or name in _RESERVED or keyword.iskeyword(name):
            name += "_"
        variables[step.name] = name
    return variables


def _literal(text: str) -> str:
    """A text in double quotes, as formatters write it, where that needs no more backslashes."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written.startswith("'") and '"' not in written else written


def _call(begin: str, words: list[str], indent: int = 0) -> list[str]:
    """A call on one line, or with one argument a line where it does not fit."""
    line = f"{begin}{', '.join(words)})"
    if indent + len(line) <= WIDTH:
        return [line]
    return [begin, *(f"    {word}," for word in words), ")"]
