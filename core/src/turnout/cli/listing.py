"""``turnout runs list`` and ``turnout artifacts list``."""

from __future__ import annotations

from typing import Any

import click

from turnout.base import names
from turnout.cli.options import CommandT, json_option, pairs, print_json, shown_time, stack_option, table

STATES = ("running", "succeeded", "failed", "cancelled", "unknown")


def _filters(command: CommandT) -> CommandT:
    """``--pipeline``, ``--since``, ``--limit``."""
    for option in (
        click.option(
            "--limit",
            "-n",
            type=click.IntRange(min=0),
            default=20,
            show_default=True,
            callback=lambda _, __, value: value or None,
            help="How many, newest first; 0 for all.",
        ),
        click.option("--since", metavar="TIME", help="Only of runs since a time (2026-01-31) or a span (7d)."),
        click.option("--pipeline", metavar="NAME", help="Only of this pipeline."),
    ):
        command = option(command)
    return command


@click.command("list")
@_filters
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only runs with this tag.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only runs in this state.")
@stack_option
@json_option
def list_runs(tags: tuple[str, ...], states: tuple[str, ...], stack: str | None, as_json: bool, **chosen: Any) -> None:
    """List the runs of this project, newest first."""
    from turnout.api import listing
    from turnout.api.workspace import Workspace
    from turnout.cli.summary import shown_address

    workspace = Workspace.here(stack)
    found = listing.list_runs(workspace, tags=pairs(tags, "--tag"), states=states or None, **chosen)
    if as_json:
        print_json(
            [
                {
                    "run": info.id,
                    "pipeline": info.pipeline,
                    "state": state,
                    "created": info.created,
                    "stack": info.stack,
                    "started_by": info.started_by,
                    "params": info.plain_params,
                    "tags": info.options.tags,
                }
                for info, state in found
            ]
        )
        return
    if not found:
        which = "no such runs" if tags or states or chosen["pipeline"] or chosen["since"] else "no runs"
        where = shown_address(workspace.store.address)
        click.echo(f"{which} of {workspace.project.name} in {where}; start one: turnout run PIPELINE", err=True)
        return
    table(
        ["run", "pipeline", "state", "created", "stack", "by"],
        [
            (info.id, info.pipeline, state, shown_time(info.created), info.stack, info.started_by)
            for info, state in found
        ],
    )


@click.command("list")
@click.argument("run", required=False)
@_filters
@click.option("--step", metavar="NAME", help="Only of this step.")
@click.option("--type", "kind", metavar="TYPE", help="Only of this type: DataFrame, pandas:DataFrame.")
@click.option("--digest", metavar="DIGEST", help="Only those whose digest starts so: which runs made it.")
@stack_option
@json_option
def list_artifacts(run: str | None, stack: str | None, as_json: bool, **chosen: Any) -> None:
    """List the outputs of RUN; without it, what all runs of this project made, the newest run's first."""
    if run is not None:
        if any(value for name, value in chosen.items() if name != "limit"):
            raise click.UsageError("--pipeline, --since, --step, --type and --digest choose among runs: leave RUN out")
        _list_outputs(run, stack, as_json)
        return
    from turnout.api import listing
    from turnout.api.workspace import Workspace

    found = listing.list_artifacts(Workspace.here(stack), **chosen)
    if as_json:
        print_json(found)
        return
    table(
        ["run", "pipeline", "step", "output", "digest", "type", "stored as", "bytes", "name"],
        [
            (
                one.run,
                one.pipeline,
                names.label(one.step, one.index),
                _label(one.output, one.element),
                one.digest[:12],
                _type(one.type),
                one.materializer,
                str(one.size),
                one.name,
            )
            for one in found
        ],
    )


def _list_outputs(run: str, stack: str | None, as_json: bool) -> None:
    """The outputs of one run, from its records."""
    from turnout.api.run import Run

    rows = [
        (summary.label, _label(name, number), artifact)
        for summary in Run(run, stack=stack).summaries.values()
        if summary.record is not None
        for name, output in summary.record.outputs.items()
        for number, artifact in output.numbered
    ]
    if as_json:
        print_json([{"step": step, "output": output, "artifact": artifact} for step, output, artifact in rows])
        return
    table(
        ["step", "output", "digest", "type", "stored as", "bytes", "name"],
        [
            (step, out, one.digest[:12], _type(one.type), one.materializer, str(one.size), one.name)
            for step, out, one in rows
        ],
    )


def _label(output: str, element: int | None) -> str:
    return output if element is None else f"{output}[{element}]"


def _type(name: str) -> str:
    return name.removeprefix("builtins:")
