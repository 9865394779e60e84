"""``turnout run``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from typing import Any

import click

from turnout.cli.options import json_option, pairs, parameters, print_json, stack_option


@click.command()
@click.argument("pipeline")
@stack_option
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--at", metavar="TIME", help="The logical time (ISO 8601); now if not given.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of this run; may be repeated.")
@click.option("--reuse", metavar="RUN", help="Take over the records of an earlier run …")
@click.option("--from", "from_", metavar="STEP", help="… but for this step and all that need it.")
@click.option("--only", multiple=True, metavar="STEP", help="… or for these steps alone; may be repeated.")
@click.option("--sweep", "swept", multiple=True, metavar="NAME=A,B,…", help="A run for each value; may be repeated.")
@click.option("--max-parallel", default=1, show_default=True, help="How many runs of a sweep at a time.")
@click.option("--no-cache", is_flag=True, help="Take nothing from the cache, and add nothing to it.")
@click.option("--logs", "logs", is_flag=True, help="Show what steps print, as it comes.")
@click.option("--effects", is_flag=True, help="Let steps change what lies outside the store; `local` does anyway.")
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def run(
    pipeline: str,
    stack: str | None,
    params: tuple[str, ...],
    at: str | None,
    tags: tuple[str, ...],
    reuse: str | None,
    from_: str | None,
    only: tuple[str, ...],
    swept: tuple[str, ...],
    max_parallel: int,
    no_cache: bool,
    logs: bool,
    effects: bool,
    accept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run PIPELINE on a stack and follow it to its end.

    With --sweep a run for each combination of values, and a table of them at the end. Exits 0 when it succeeded, 1 when
    it failed, 2 when it could not be started.
    """
    from turnout.api.history import find_run
    from turnout.api.launch import Launch
    from turnout.cli.sweep import values_of
    from turnout.cli.target import find_pipeline
    from turnout.model.records import Options, Reuse

    values = parameters(params)
    varied = values_of(swept)
    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept, given={**values, **varied})
    workspace = launch.workspace
    earlier = None
    if reuse is not None:
        earlier = Reuse(run=find_run(workspace.store, workspace.project.name, reuse).id, from_=from_, only=only)
    elif from_ is not None or only:
        raise click.UsageError("--from and --only say what runs again, and --reuse RUN of which run: give both")
    options = Options(at=at, tags=pairs(tags, "--tag"), reuse=earlier, no_cache=no_cache, effects=effects or None)
    if swept:
        from turnout.cli.sweep import run_sweep

        run_sweep(launch, varied, values, options, max_parallel, as_json=as_json)
    _follow(launch, values, options, pipeline, stack, logs=logs, as_json=as_json)


def _follow(
    launch: Any, params: dict[str, str], options: Any, target: str, stack: str | None, *, logs: bool, as_json: bool
) -> None:
    from turnout.base.errors import ConfigError, RunError
    from turnout.cli.live import view
    from turnout.cli.printed import Printed
    from turnout.cli.summary import run_document, summarise
    from turnout.components.progress import ignore

    for note in _notes(launch):
        click.echo(f"note: {note}", err=True)
    watcher = None if as_json else view(launch.plan)
    orchestrator = launch.workspace.orchestrator
    printed = Printed(orchestrator, launch.plan, launch.workspace.store, watcher) if logs else None
    orchestrator.watch = printed or watcher or ignore
    with redirect_stdout(sys.stderr) if as_json else nullcontext():  # steps may print in this process
        handle = launch.submit(params, options)
        if not as_json:
            click.echo(f"{launch.plan.name} on {launch.plan.stack}: run {handle.run_id}")
        state = wait_for(handle, watcher, lambda: launch.cancel(handle), printed)
    try:
        run = launch.ended(handle)
        state = run.ended(state)
    except ConfigError:
        raise RunError(
            f"the run {handle.run_id} {'was ' if state == 'cancelled' else ''}{state} before its first step began",
            why="no worker has written anything of it",
            fix=f"see what the engine says of it{f': {handle.url}' if handle.url else ''}",
        ) from None
    if as_json:
        print_json(run_document(run, state))
    else:
        summarise(run, state, target, stack)
    sys.exit(0 if state == "succeeded" else 1)


def wait_for(handle: Any, watcher: Any, cancel: Callable[[], None], printed: Any = None) -> Any:
    """Follow a run to its end, and return its state as the engine has it; a signal to stop cancels it.

    Args:
        printed: shows what steps print, a :class:`turnout.cli.printed.Printed`.
    """
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to stop is asked to stop, whoever asks
    with watcher or nullcontext(), printed.following(handle) if printed else nullcontext():
        try:
            while (state := handle.wait(0.5)) == "running":
                if printed:
                    printed.look()
        except KeyboardInterrupt:
            click.echo("stopping; what is committed stays", err=True)
            cancel()
            state = handle.wait()
    return state


def _notes(launch: Any) -> list[str]:
    notes = list(launch.planned.notes)
    if launch.plan.schedule is not None:
        notes.append("the schedule is not used by `run`: it takes effect with `turnout publish`")
    return notes
