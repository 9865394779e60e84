"""``turnout promote``."""

from __future__ import annotations

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.command()
@click.argument("run")
@click.argument("step", metavar="STEP[:OUTPUT]")
@click.option("--alias", "-a", required=True, metavar="NAME", help="The alias, such as champion.")
@click.option("--to-stack", metavar="STACK", help="Copy the artifact to this stack's store, and set the alias there.")
@stack_option
@json_option
def promote(run: str, step: str, alias: str, to_stack: str | None, stack: str | None, as_json: bool) -> None:
    """Give an output of STEP (or STEP.INDEX) of RUN an alias, in the store and in the tracker's registry of models."""
    from turnout.api.aliases import document
    from turnout.api.promotion import promote as give

    done = give(run, step, alias, stack=stack, to_stack=to_stack)
    if as_json:
        print_json({**document(done.alias), "registered": done.registered, "problem": done.problem})
    else:
        named = done.alias
        before = f", before it {named.previous[:12]}" if named.previous else ""
        where = f" on the stack {to_stack}" if to_stack else ""
        click.echo(
            f"{named.name}{where} is {named.output} of {named.label} of the run {named.run.id}: "
            f"{named.artifact.digest[:12]}{before}"
        )
        if done.registered:
            click.echo(f"registered as {done.registered}")
    if done.problem:
        click.echo(f"warning: {done.problem}", err=True)
        click.echo("  the alias in the store stands; to set it in the registry too, promote again", err=True)
