"""``turnout deploy``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.serving.trial import Trial


@click.command()
@click.argument("endpoint")
@stack_option
@click.option("--run", metavar="RUN", help="The run it serves: its id, an alias, or latest; as defined if not given.")
@click.option("--share", default=1.0, show_default=True, help="Of the requests; less than 1 is a canary.")
@click.option("--accept", multiple=True, metavar="WHAT", help="Deploy it all the same: code, schema, answers, untried.")
@json_option
def deploy(
    endpoint: str, stack: str | None, run: str | None, share: float, accept: tuple[str, ...], as_json: bool
) -> None:
    """Serve ENDPOINT over HTTP by the stack's deployer, and wait until it is ready.

    It first answers stored rows in its locked environment, as the run did. A version that replaces another does so
    without a failed request. What is refused unless it is accepted by name: steps whose code is not the run's (code);
    requests refused that the live version takes (schema); other answers to stored rows than the run had (answers).
    """
    import msgspec

    from turnout.api.endpoint import deploy as start
    from turnout.cli.endpoints import document
    from turnout.cli.target import find_endpoint

    deployment = find_endpoint(endpoint).prepare(stack=stack, run=run, accept=accept)
    for note in deployment.planned.notes:
        click.echo(f"note: {note}", err=True)
    result = start(deployment, share)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    status, trial, plan = result.status, result.trial, deployment.plan
    if as_json:
        tried = None if trial is None else {"rows": trial.rows, "compared": msgspec.to_builtins(trial.compared)}
        print_json({**document(status), "run": plan.run, "version": plan.digest, "tried": tried})
        return
    part = f", a canary with {share:.0%} of the requests" if share < 1 else ""
    click.echo(f"{status.name} is served" + (f" at {status.url}" if status.url else f": {status.state}"))
    click.echo(f"  version {plan.digest[:12]}{part}, of the run {plan.run} of {plan.pipeline}")
    for line in _tried(trial):
        click.echo(f"  {line}")
    if status.url:
        click.echo(f"  try it: {status.url}/docs")


def _tried(trial: Trial | None) -> Iterator[str]:
    if trial is None:
        yield "not tried on stored rows"
    elif not trial.rows:
        yield "not tried: no table is like what requests give (like=), or more than rows is needed"
    elif not trial.compared:
        yield f"answered {trial.rows} stored rows; the run has no answers to compare with"
    for one in trial.compared if trial is not None else ():
        same = f"differs in {one.differing}: {one.example}" if one.differing else "as the run"
        yield f"{one.step} answered {one.rows} stored rows, {same} (largest difference {one.difference:.3g})"
