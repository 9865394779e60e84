"""``turnout verify``."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from turnout.cli.options import json_option, parameters, print_json


@click.command()
@click.argument("pipeline_or_run")
@click.argument("other_run", required=False)
@click.option("--stack", "-s", "stacks", multiple=True, metavar="STACK", help="A stack; give two.")
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--at", metavar="TIME", help="The logical time of both runs (ISO 8601).")
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something a stack cannot give.")
@json_option
def verify(
    pipeline_or_run: str,
    other_run: str | None,
    stacks: tuple[str, ...],
    params: tuple[str, ...],
    at: str | None,
    accept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a pipeline on two stacks and compare what they came to; or compare two runs that there are.

    \b
    turnout verify PIPELINE --stack A --stack B
    turnout verify RUN RUN [--stack A [--stack B]]

    Every artifact is compared by its digest, else by its materializer's comparator; states, skips and element counts
    are compared, too. Exits 0 when both runs have succeeded and there is no difference, else 1.
    """
    from turnout.api import verification

    if other_run is None:
        if len(stacks) != 2:
            raise click.UsageError("a pipeline is verified on two stacks: --stack A --stack B")
        given = parameters(params)
        left, right = (_run(pipeline_or_run, stack, given, at, accept, quiet=as_json) for stack in stacks)
    else:
        from turnout.api.run import Run

        if len(stacks) > 2 or params or at:
            raise click.UsageError("two runs are compared as they are: give --stack once or twice, and nothing else")
        both = (*stacks, *stacks)[:2] or (None, None)
        left, right = Run(pipeline_or_run, stack=both[0]), Run(other_run, stack=both[1])
    verified = verification.verify(left, right)
    if as_json:
        print_json({"left": left.id, "right": right.id, **msgspec.to_builtins(verified)})
    else:
        _print(verified, left, right)
    sys.exit(0 if verified.equal else 1)


def _run(
    target: str, stack: str, params: dict[str, str], at: str | None, accept: tuple[str, ...], *, quiet: bool
) -> Any:
    """A run of the pipeline that takes nothing from the cache: what is compared was made by this stack."""
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline
    from turnout.model.records import Options

    launch = Launch.of(find_pipeline(target), stack=stack, accept=accept, given=params)
    handle = launch.submit(params, Options(at=at, no_cache=True, effects=False))
    if not quiet:
        click.echo(f"{launch.plan.name} on {launch.plan.stack}: run {handle.run_id}")
    try:
        state = handle.wait()
    except KeyboardInterrupt:
        launch.cancel(handle)
        raise
    run = launch.ended(handle)
    if not quiet:
        click.echo(f"  {run.ended(state)}")
    return run


def _print(verified: Any, left: Any, right: Any) -> None:
    equal = f"{verified.by_digest} artifacts equal by digest"
    if verified.by_comparator:
        equal += f", {verified.by_comparator} by their comparator"
    if verified.equal:
        click.echo(f"no difference: {verified.steps} steps, {equal}")
        return
    for run, state in zip((left, right), verified.states, strict=True):
        if state != "succeeded":
            click.echo(f"the run {run.id} ({run.info.stack}) is {state}: see turnout runs show {run.id[:8]}")
    if verified.unmade:
        click.echo(f"not compared, for neither run has made them: {', '.join(verified.unmade)}")
    if not verified.differences:
        click.echo(f"no difference in what both have made: {equal}")
        return
    click.echo(f"{left.id} ({left.info.stack}) and {right.id} ({right.info.stack}) differ:")
    for difference in verified.differences[:20]:
        click.echo(f"  {difference}")
    if len(verified.differences) > 20:
        click.echo(f"  and {len(verified.differences) - 20} more")
    click.echo(f"of {verified.steps} steps, {equal}")
    first = verified.differences[0].step
    click.echo(
        f"the first one is where to look: turnout explain {left.id[:8]} {first}, turnout explain {right.id[:8]} {first}"
    )
