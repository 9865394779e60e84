"""``turnout runs resume``."""

from __future__ import annotations

import sys

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.command()
@click.argument("run")
@stack_option
@json_option
def resume(run: str, stack: str | None, as_json: bool) -> None:
    """Go on with RUN, which failed, was stopped or was killed: what it committed stays, the rest runs.

    It runs by its own plan, code and parameters, whatever has become of the project's files since. To go on with
    today's code, start another run: turnout run PIPELINE --reuse RUN.

    Exits 0 when it succeeded, 1 when it failed, 2 when it could not be resumed.
    """
    from turnout.api.resumption import start
    from turnout.api.run import find
    from turnout.cli.live import view
    from turnout.cli.run import wait_for
    from turnout.cli.summary import run_document, summarise

    found = find(run, stack)
    plan, watcher = found.plan, None if as_json else view(found.plan)
    if watcher is not None:
        found.workspace.orchestrator.watch = watcher
    handle = start(found)
    if handle is None:
        if as_json:
            print_json(run_document(found, "succeeded"))
        else:
            click.echo(f"the run {found.id} has succeeded: there is nothing left to run")
        return
    if not as_json:
        click.echo(f"{plan.name} on {plan.stack}: resuming run {found.id}")
    found.handle = handle
    state = found.ended(wait_for(handle, watcher, found.cancel))
    found.refresh()
    if as_json:
        print_json(run_document(found, state))
    else:
        summarise(found, state, f"{plan.entrypoint.module}:{plan.entrypoint.qualname}", stack)
    sys.exit(0 if state == "succeeded" else 1)
