"""``turnout runs``."""

from __future__ import annotations

import click

from turnout.cli.options import json_option, pairs, print_json, stack_option, table


@click.group()
def runs() -> None:
    """List runs, show one, read a step's log."""


@runs.command("list")
@stack_option
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only runs with this tag.")
@click.option("--limit", "-n", default=20, show_default=True, help="How many, newest first.")
@json_option
def list_(stack: str | None, pipeline: str | None, tags: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the runs of this project, newest first."""
    from turnout.api.history import run_infos, run_state
    from turnout.api.workspace import Workspace

    workspace, wanted = Workspace.here(stack), pairs(tags, "--tag").items()
    found = [
        info
        for info in run_infos(workspace.store, workspace.project.name)
        if (pipeline is None or info.pipeline == pipeline) and wanted <= info.options.tags.items()
    ][:limit]
    rows = [(info, run_state(workspace.store, info, workspace.ask_engine)) for info in found]
    if as_json:
        print_json(
            [
                {
                    "run": info.id,
                    "pipeline": info.pipeline,
                    "state": state,
                    "created": info.created,
                    "stack": info.stack,
                }
                for info, state in rows
            ]
        )
        return
    if not rows:
        click.echo(f"no runs of {workspace.project.name} in {workspace.store.address}; start one: turnout run PIPELINE")
        return
    table(
        ["run", "pipeline", "state", "created", "stack", "by"],
        [(info.id, info.pipeline, state, info.created[:19], info.stack, info.started_by) for info, state in rows],
    )


@runs.command()
@click.argument("run")
@stack_option
@json_option
def show(run: str, stack: str | None, as_json: bool) -> None:
    """Show RUN: an id, the start of one, or latest."""
    from turnout.api.run import Run
    from turnout.cli.summary import metrics_table, run_document, steps_table

    found = Run(run, stack=stack)
    state = found.state
    if as_json:
        print_json(run_document(found, state))
        return
    info = found.info
    click.echo(f"run        {found.id}")
    click.echo(f"pipeline   {info.pipeline} of {info.project}")
    click.echo(f"state      {state}")
    click.echo(f"created    {info.created[:19]} by {info.started_by or 'unknown'}")
    click.echo(f"stack      {info.stack}: {info.orchestrator} {info.instance}, engine run {info.engine_run}")
    click.echo(f"plan       {info.plan[:12]}")
    if info.git is not None:
        click.echo(f"code       {info.git.commit[:12]}{' and changes' if info.git.dirty else ''}")
    for name, value in info.params.items():
        click.echo(f"parameter  {name} = {value}")
    click.echo("")
    steps_table(found)
    metrics_table(found)


@runs.command()
@click.argument("run")
@click.argument("step")
@stack_option
def logs(run: str, stack: str | None, step: str) -> None:
    """Print what STEP (or STEP.INDEX) of RUN printed, all attempts in order."""
    from turnout.api.run import Run
    from turnout.errors import UnsupportedError

    found = Run(run, stack=stack)
    one = found[step]
    workspace = found.workspace
    if found.info.orchestrator != workspace.orchestrator.name:
        raise UnsupportedError(
            f"the run {found.id} ran on {found.info.orchestrator}, the stack {workspace.stack.name} has another engine",
            fix="give the run's own stack: --stack",
        )
    for line in workspace.orchestrator.logs(found.plan, found.info.engine_run, one.name, one.index):
        click.echo(line)
