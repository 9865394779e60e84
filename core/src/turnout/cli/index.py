"""``turnout index``."""

from __future__ import annotations

from contextlib import closing

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.group()
def index() -> None:
    """The index on this machine, by which runs and artifacts are listed at once."""


@index.command()
@stack_option
@json_option
def rebuild(stack: str | None, as_json: bool) -> None:
    """Read all runs of this project anew. Nothing depends on it: the index holds nothing that the store does not."""
    from turnout.api.workspace import Workspace
    from turnout.catalog.index import Index

    workspace = Workspace.here(stack)
    with closing(Index(workspace.store, workspace.project.name)) as found:
        done, steps = found.rebuild(), found.steps()
        place = str(found.path) if found.path else None
    if as_json:
        print_json({"runs": done.read, "steps": steps, "unreadable": done.unreadable, "index": place})
        return
    click.echo(f"read {done.read} runs with {steps} steps: {place}")
    if done.unreadable:
        click.echo(f"warning: {done.unreadable} runs could not be read, and are left out", err=True)
