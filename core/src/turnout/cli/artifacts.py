"""``turnout artifacts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnout.cli.options import json_option, print_json, stack_option, table
from turnout.records.model import Artifact, OutputRecord

if TYPE_CHECKING:
    from turnout.api.run import StepRun


@click.group()
def artifacts() -> None:
    """List, show and load what steps made."""


@artifacts.command("list")
@click.argument("run")
@stack_option
@json_option
def list_(run: str, stack: str | None, as_json: bool) -> None:
    """List the outputs of RUN."""
    from turnout.api.run import Run

    rows = []
    for summary in Run(run, stack=stack).summaries.values():
        if summary.record is not None:
            for name, output in summary.record.outputs.items():
                for number, artifact in _each(output):
                    label = name if number is None else f"{name}[{number}]"
                    rows.append((summary.label, label, artifact))
    if as_json:
        print_json([{"step": step, "output": output, "artifact": artifact} for step, output, artifact in rows])
        return
    table(
        ["step", "output", "digest", "type", "stored as", "bytes"],
        [(step, out, one.digest[:12], _type(one), one.materializer, str(one.size)) for step, out, one in rows],
    )


def _type(artifact: Artifact) -> str:
    return artifact.type.removeprefix("builtins:")


def _each(output: OutputRecord) -> list[tuple[int | None, Artifact]]:
    if output.elements is not None:
        return list(enumerate(output.elements))
    return [] if output.artifact is None else [(None, output.artifact)]


@artifacts.command()
@click.argument("run")
@click.argument("step")
@click.argument("output", required=False)
@stack_option
@json_option
def show(run: str, step: str, output: str | None, stack: str | None, as_json: bool) -> None:
    """Show an output of STEP (or STEP.INDEX) of RUN: what it is, what it was made from, where it lies."""
    from turnout.api.run import Run
    from turnout.stores import layout

    found = Run(run, stack=stack)
    documents: list[dict[str, Any]] = []
    for part in _parts(found[step].checked(output)):
        inputs = {key: list(given.digests) or given.value for key, given in part.record.inputs.items()}
        for name, one in _outputs(part, output):
            for number, artifact in _each(one):
                documents.append(
                    {
                        "step": part.label,
                        "output": name if number is None else f"{name}[{number}]",
                        "digest": artifact.digest,
                        "type": artifact.type,
                        "materializer": artifact.materializer,
                        "bytes": artifact.size,
                        "where": "in the record" if artifact.inline else layout.artifact(artifact.digest),
                        "value": artifact.value if artifact.inline else None,
                        "inputs": inputs,
                    }
                )
    if as_json:
        print_json(documents)
        return
    for document in documents:
        click.echo(f"{document['step']}: {document['output']}")
        for key in ("type", "digest", "materializer", "bytes", "where", "value"):
            if document[key] is not None:
                click.echo(f"  {key:<13} {document[key]}")
        for name, given in document["inputs"].items():
            shown = ", ".join(digest[:12] for digest in given) if isinstance(given, list) else given
            click.echo(f"  {'input':<13} {name} = {shown}")


def _parts(step: StepRun) -> list[StepRun]:
    return step.elements if step.plan.mapped and step.index is None and step.elements else [step]


def _outputs(step: StepRun, wanted: str | None) -> list[tuple[str, OutputRecord]]:
    """The outputs of a committed step, or the one of a name."""
    record = step.record
    return [(name, one) for name, one in record.outputs.items() if wanted in (None, name)]


@artifacts.command()
@click.argument("run")
@click.argument("step")
@click.argument("output", required=False)
@stack_option
@click.option("--to", type=click.Path(path_type=Path), help="Copy the artifact's files into this new folder.")
def load(run: str, step: str, output: str | None, stack: str | None, to: Path | None) -> None:
    """Load an output of STEP (or STEP.INDEX) of RUN, verified, and print it, or copy its files.

    Printing needs the packages that the value is made of; copying needs none.
    """
    from turnout.api.run import Run

    found = Run(run, stack=stack)
    if to is None:
        click.echo(_shown(found[step].load(output)))
        return
    from turnout.errors import ConfigError

    if to.exists():
        raise ConfigError(f"{to} exists already", fix="give a folder that does not exist yet")
    for part in _parts(found[step].checked(output)):
        for name, one in _outputs(part, output):
            for number, artifact in _each(one):
                folder = to if part.index is None else to / str(part.index)
                target = folder / name if number is None else folder / name / str(number)
                found.artifacts.copy_to(artifact, target)
                click.echo(str(target))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
