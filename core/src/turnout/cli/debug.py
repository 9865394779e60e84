"""``turnout debug``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from turnout.base import names
from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.runtime.replay import Compared, Replay


@click.command()
@click.argument("run")
@click.argument("step")
@stack_option
@click.option(
    "--code",
    type=click.Choice(["run", "here"]),
    default="run",
    show_default=True,
    help="The code the run had, or the project's as it is now.",
)
@click.option("--pdb", is_flag=True, help="Stop in the debugger where the step fails, or at a breakpoint().")
@json_option
def debug(run: str, step: str, stack: str | None, code: Literal["run", "here"], pdb: bool, as_json: bool) -> None:
    """Run STEP (or STEP.INDEX) of RUN once more with the inputs, the code and the versions it had, from any engine.

    Nothing is written to the store, and no tracker or observer is told. Exits 0 when the step succeeds, 1 when it
    fails, and 2 when it cannot be replayed.
    """
    from turnout.api.debug import debug as replay
    from turnout.api.run import Run
    from turnout.base.errors import RunError

    try:
        done = replay(Run(run, stack=stack), step, code=code, pdb=pdb, quiet=as_json)
    except RunError as error:  # whose exit code would say that the step failed
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    if as_json:
        print_json({**msgspec.to_builtins(done), "equal": done.equal})
    else:
        _print(done, shown_before=pdb)
    sys.exit(0 if done.state == "succeeded" else 1)


def _print(done: Replay, *, shown_before: bool) -> None:
    label = names.label(done.step, done.index)
    code = "the run's code" if done.code == "run" else "the project's code as it is now"
    click.echo(f"\n{label} of the run {done.run}, replayed with {code}: {done.state}")
    if done.recorded != done.state:
        click.echo(f"  in the run it {done.recorded}")
    if done.value is not None:
        click.echo(f"  decided {str(done.value).lower()}")
    for name, output in done.outputs.items():
        click.echo(f"  output {name}: {_output(output)}")
    for point in done.logged.points:
        click.echo(f"  metric {point.name} = {point.value}")
    if done.state == "failed":
        click.echo(f"  {done.message}")
        if done.traceback and not shown_before:
            click.echo("\n".join(f"    {line}" for line in done.traceback.rstrip().splitlines()))


def _output(output: Compared) -> str:
    types = ", ".join(one.removeprefix("builtins:") for one in output.types)
    what = output.digests[0][:12] if len(output.digests) == 1 else f"in {len(output.digests)} elements"
    shown = f"{types} {what}".lstrip()
    if output.recorded is None:
        return f"{shown}, which no record is held against"
    if output.equal:
        return f"{shown}, as recorded" if output.by == "digest" else f"{shown}, equal to what is recorded"
    before = output.recorded[0][:12] if len(output.recorded) == 1 else f"{len(output.recorded)} elements"
    return f"{shown}, which DIFFERS from the recorded {before}"
