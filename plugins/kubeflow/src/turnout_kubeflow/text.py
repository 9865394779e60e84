"""A specification as a file of YAML that a person reads: what the steps are comes first, then the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from turnout.plugin_api import Plan, StepPlan, render
from turnout_kubeflow.pipeline import FINISH, STEPS, Builder, Document
from turnout_kubeflow.platform import platform
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings

_COMPONENTS, _DEPLOYMENT = "components", "deploymentSpec"
_LONG = {
    (_COMPONENTS,),
    (_COMPONENTS, f"comp-{STEPS}"),
    (_COMPONENTS, f"comp-{STEPS}", "dag"),
    (_COMPONENTS, f"comp-{STEPS}", "dag", "tasks"),
    (_DEPLOYMENT,),
    (_DEPLOYMENT, "executors"),
}
"""The mappings that have an entry a step, and what they lie in."""


def rendered(plan: Plan, settings: CompileSettings, *, timed: bool) -> bytes:
    """The specification as YAML, the same bytes for the same plan."""
    import yaml

    builder = Builder(plan, settings, timed=timed)
    documents = [builder.document()]
    if isinstance(settings, KubeflowSettings) and (more := platform(plan, settings, builder.labels)):
        documents.append(more)
    dump: Any = partial(yaml.dump, Dumper=_dumper(yaml), sort_keys=False, allow_unicode=True, width=1_000_000)
    texts = ["".join(_parts(document, dump)) for document in documents]
    head = "".join(f"# {line}".rstrip() + "\n" for line in _head(plan, builder))
    return (head + "---\n".join(texts)).encode()


def _parts(document: Document, dump: Any, *path: str) -> Iterator[str]:
    """The text of a document. What has an entry a step is made entry by entry: each costs the same, however many."""
    for key, value in document.items():
        if (*path, key) in _LONG:
            yield _indented(dump({key: {}}).replace(" {}", ""), len(path))
            yield from _parts(value, dump, *path, key)
        else:
            yield _indented(dump({key: value}), len(path))


def _indented(text: str, depth: int) -> str:
    """Lines of YAML that lie so deep. (Only a line feed ends one, which `textwrap` sees otherwise.)"""
    return "".join(f"{'  ' * depth}{line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


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


_OTHERWISE = re.compile(
    r"~|=|<<|null|true|false|y|n|yes|no|on|off|[-+]?\.(inf|nan)|(?!\d+(\.\d+){2,}\Z)[-+]?[.0-9][-+0-9a-fxob_.,:tz ]*",
    re.IGNORECASE,
)
"""What a reader of YAML 1.1 or 1.2 takes for something else than a text: nothing, a bool, a number, a time, a merge.
Wider than that, but for versions, which all take for texts."""
_BREAKS = re.compile("[\n\x85\u2028\u2029]")
"""What ends a line in YAML 1.1; in 1.2 it is the line feed alone."""


@lru_cache(maxsize=1024)
def _style(text: str) -> str | None:
    """How a text is written that no reader may take for anything else; None: as the library does."""
    if _BREAKS.search(text):
        return "|" if _plain(text) else '"'
    return "'" if _OTHERWISE.fullmatch(text) else None


def _plain(text: str) -> bool:
    """Whether YAML can hold lines as they are, by whichever library: printed characters, and none at the edges lost."""
    return (
        text == text.strip(" ")
        and not text.startswith("\n")
        and all(char == "\n" or (char.isprintable() and char < "\ud800") for char in text)
        and not any(line.endswith(" ") for line in text.split("\n"))
    )


def _dumper(yaml: Any) -> Any:
    """PyYAML's safe dumper (in C where it is built with it), that repeats a value rather than refer to it."""
    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {"ignore_aliases": lambda *_: True})

    def text(one: Any, value: str) -> Any:
        return one.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))

    dumper.add_representer(str, text)
    return dumper
