"""``turnout deploy``."""

from __future__ import annotations

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.command()
@click.argument("endpoint")
@stack_option
@click.option("--run", metavar="RUN", help="The run it serves: its id, an alias, or latest; as defined if not given.")
@click.option("--share", default=1.0, show_default=True, help="Of the requests; less than 1 is a canary.")
@click.option("--accept", multiple=True, metavar="WHAT", help="code: serve with other code than the run had.")
@json_option
def deploy(
    endpoint: str, stack: str | None, run: str | None, share: float, accept: tuple[str, ...], as_json: bool
) -> None:
    """Serve ENDPOINT over HTTP by the stack's deployer, and wait until it is ready.

    A version that replaces another does so without a failed request. Before it is served it is tried on stored rows.
    """
    from turnout.api.endpoint import deploy as start
    from turnout.cli.endpoints import document
    from turnout.cli.target import find_endpoint

    deployment = find_endpoint(endpoint).prepare(stack=stack, run=run, accept=accept)
    for note in deployment.planned.notes:
        click.echo(f"note: {note}", err=True)
    status = start(deployment, share)
    if as_json:
        print_json({**document(status), "run": deployment.plan.run, "version": deployment.plan.digest})
        return
    part = f", a canary with {share:.0%} of the requests" if share < 1 else ""
    click.echo(f"{status.name} is served at {status.url} (version {deployment.plan.digest[:12]}{part})")
    click.echo(f"  serves the run {deployment.plan.run} of {deployment.plan.pipeline}")
    if status.url:
        click.echo(f"  try it: {status.url}/docs")
