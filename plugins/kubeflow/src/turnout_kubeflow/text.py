"""A specification as a file of YAML that a person reads: what the steps are comes first, then the documents."""

from __future__ import annotations

from turnout.plugin_api import Plan, StepPlan, render, yaml_text
from turnout_kubeflow.pipeline import FINISH, STEPS, Builder
from turnout_kubeflow.platform import platform
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings

_LONG = (("components",), ("components", f"comp-{STEPS}", "dag", "tasks"), ("deploymentSpec", "executors"))
"""The mappings that have an entry a step."""


def rendered(plan: Plan, settings: CompileSettings, *, timed: bool) -> bytes:
    """The specification as YAML, the same bytes for the same plan."""
    builder = Builder(plan, settings, timed=timed)
    documents = [builder.document()]
    if isinstance(settings, KubeflowSettings) and (more := platform(plan, settings, builder.labels)):
        documents.append(more)
    texts = [yaml_text(document, _LONG) for document in documents]
    head = "".join(f"# {line}".rstrip() + "\n" for line in _head(plan, builder))
    return (head + "---\n".join(texts)).encode()


def _head(plan: Plan, builder: Builder) -> list[str]:
    """What stands above the documents: where the file comes from, and what its steps are."""
    lines = [
        f"The pipeline {_line(plan.name)} for Kubeflow Pipelines {builder.oldest} and newer.",
        f"Made by turnout from the plan {plan.digest}: change the pipeline, not this file.",
        "",
        f"Its steps are the tasks of comp-{STEPS}; the task {FINISH} marks the end of the run, however it went.",
        "A step that may be called first is given every parameter: it writes down what the run was given.",
    ]
    if any(step.guards for step in plan.steps):
        lines.append(
            "A guarded step lies in pipelines of its own: when-… takes what the gates decided, if-… goes by it."
        )
    if any(step.mapped for step in plan.steps):
        lines.append(
            "A mapped step does, too: each-… (or if-…) loops over the indices, one-… calls the step for one of them."
        )
    return [*lines, "", *(_about(step, builder) for step in plan.steps)]


def _about(step: StepPlan, builder: Builder) -> str:
    """A step's task, its place in the user's files and what it is for."""
    place = "" if step.place is None else f" ({_line(step.place.file)}:{step.place.line})"
    doc = step.doc.strip() or (f"Decides: {render(step.expression)}" if step.expression is not None else "")
    said = f": {_line(doc.splitlines()[0])}" if doc else ""
    return f"  {builder.tasks[step.name]}{place}{said}"


def _line(text: str) -> str:
    """A text as part of a comment, which is one line of characters that can be printed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
