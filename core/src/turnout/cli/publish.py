"""``turnout publish`` and ``turnout unpublish``."""

from __future__ import annotations

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.command()
@click.argument("pipeline")
@stack_option
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def publish(pipeline: str, stack: str | None, accept: tuple[str, ...], as_json: bool) -> None:
    """Place PIPELINE where its engine finds it, and activate its schedule. Runs nothing.

    Plan, code and local files go to the artifact store.
    """
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    place = launch.activate()
    if as_json:
        print_json({"pipeline": launch.plan.name, "plan": launch.plan.digest, "place": place})
        return
    for note in [*launch.planned.notes, *launch.compiled.notes]:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{launch.plan.name} is at {place}")


@click.command()
@click.argument("pipeline")
@stack_option
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def unpublish(pipeline: str, stack: str | None, accept: tuple[str, ...], as_json: bool) -> None:
    """Take a published PIPELINE and its schedule away again. Its runs and what they made stay."""
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    place = launch.deactivate()
    if as_json:
        print_json({"pipeline": launch.plan.name, "place": place})
    else:
        click.echo(f"{launch.plan.name} is gone from {place}")
