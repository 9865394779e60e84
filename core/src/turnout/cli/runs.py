"""``turnout runs``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from turnout.base.texts import shown_line
from turnout.cli import listing
from turnout.cli import resume as resumption
from turnout.cli.compare import compare
from turnout.cli.options import json_option, print_json, shown_param, shown_time, stack_option

if TYPE_CHECKING:
    from turnout.api.run import Run


@click.group()
def runs() -> None:
    """List runs, show and compare them, read a step's log, stop one, resume one, send one to its tracker."""


runs.add_command(listing.list_runs)
runs.add_command(resumption.resume)
runs.add_command(compare)


@runs.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option("--metric", metavar="NAME", help="Every point of a metric that STEP logged, as a table and a plot.")
@stack_option
@json_option
def show(run: str, step: str | None, metric: str | None, stack: str | None, as_json: bool) -> None:
    """Show RUN (an id, the start of one, or latest), or STEP (or STEP.INDEX) of it with all that it logged.

    The exit code is 2 where a record of RUN cannot be read.
    """
    from turnout.api.run import Run
    from turnout.cli.summary import failures, metrics_table, run_document, shown_address, steps_table, unsettled

    found = Run(run, stack=stack)
    if step is not None:
        from turnout.cli.show_step import show_step

        show_step(found[step], metric, as_json=as_json)
        return
    if metric is not None:
        raise click.UsageError("--metric needs the STEP that logged it")
    state = found.state
    damaged = any(summary.damaged is not None for summary in found.summaries.values())
    if as_json:
        print_json(run_document(found, state))
        raise SystemExit(2 if damaged else 0)
    info = found.info
    rows = [
        ("run", found.id),
        ("pipeline", f"{info.pipeline} of {info.project}"),
        ("state", state),
        ("created", f"{shown_time(info.created)} UTC by {info.started_by or 'unknown'}"),
        ("stack", f"{info.stack}, its orchestrator {info.orchestrator} (instance {info.instance})"),
        ("engine run", info.engine_run),
        ("store", shown_address(found.workspace.store.address)),
        ("plan", info.plan[:12]),
    ]
    if info.git is not None:
        rows.append(("code", f"{info.git.commit[:12]}{' and changes' if info.git.dirty else ''}"))
    if found.external_id is not None:
        rows.append(("tracker", f"{found.plan.worker.tracker.type}: {found.tracker_page or found.external_id}"))
    rows.extend(("", line) for line in unsettled(found, state, stack))
    rows.extend(("parameter", f"{name} = {shown_param(value)}") for name, value in info.plain_params.items())
    rows.extend(("tag", f"{name} = {value}") for name, value in info.options.tags.items())
    for name, value in rows:
        click.echo(f"{name:<10} {shown_line(value)}")
    click.echo("")
    steps_table(found)
    metrics_table(found)
    failures(found)
    raise SystemExit(2 if damaged else 0)


@runs.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until RUN has ended.")
@stack_option
@json_option
def logs(run: str, stack: str | None, step: str | None, follow: bool, as_json: bool) -> None:
    """Print what STEP (or STEP.INDEX) of RUN printed, all attempts in order; of a mapped step, all elements.

    Without a STEP, what all steps printed that ran.
    """
    from turnout.api.run import Run

    found = Run(run, stack=stack)
    if follow:
        if as_json:
            raise click.UsageError("--follow prints lines as they come: leave --json out")
        _follow_logs(found, step)
        return
    parts = found[step].parts if step else [part for one in found for part in one.parts if part.ran]
    lines = {part.label: list(part.log_lines()) for part in parts}
    if as_json:
        print_json({"run": found.id, "logs": lines})
        return
    for label, several in lines.items():
        if several if step is None else len(parts) > 1:
            click.echo(f"--- {label}")
        for line in several:
            click.echo(line)


def _follow_logs(run: Run, step: str | None) -> None:
    """Print what comes until the run has ended; a step that is no mapped one prints bare lines."""
    import time

    from turnout.api.log_tail import LogTail

    only = None if step is None else run.place(step)
    bare = only is not None and (only[1] is not None or not run.plan.by_name[only[0]].mapped)
    tail = LogTail(
        run.workspace.orchestrator_of(run.info),
        run.plan,
        run.id,
        run.info.engine_run,
        run.workspace.store,
        lambda label, line: click.echo(line if bare else f"{label} | {line}"),
        only=only,
    )
    while run.state == "running":
        began = time.monotonic()
        tail.look()
        time.sleep(max(0.5, 4 * (time.monotonic() - began)))
    tail.look(ended=True)
    if tail.problem is not None:
        raise tail.problem


@runs.command()
@click.argument("run")
@stack_option
@json_option
def cancel(run: str, stack: str | None, as_json: bool) -> None:
    """Stop RUN; what it has committed stays."""
    from turnout.api.run import Run
    from turnout.base.errors import RunError

    found = Run(run, stack=stack)
    found.workspace.orchestrator_of(found.info)
    if (state := found.state) in {"succeeded", "failed", "cancelled"}:
        raise RunError(
            f"the run {found.id} does not run on this machine, nor elsewhere",
            why=f"it has ended: {state}",
            fix=f"see how it went: turnout runs show {found.id[:8]}",
        )
    found.cancel()
    if as_json:
        print_json({"run": found.id, "asked": "to stop"})
        return
    click.echo(f"asked the run {found.id} to stop")


@runs.command()
@click.argument("run")
@click.argument("step")
@stack_option
@json_option
def invalidate(run: str, step: str, stack: str | None, as_json: bool) -> None:
    """Remove the record of STEP (or STEP.INDEX) of RUN, and of all that was made from it, so that they run again.

    They run when their engine calls them again: go on with the run (turnout runs resume RUN), clear the tasks in the
    engine, or start a run with today's code that takes over what is still on record: turnout run PIPELINE --reuse RUN.
    """
    from turnout.api.invalidation import invalidate as remove
    from turnout.api.run import Run

    found = Run(run, stack=stack)
    removed = remove(found, step)
    if as_json:
        print_json({"run": found.id, "removed": removed})
        return
    for label in removed:
        click.echo(f"removed the record of {label}")
    if not removed:
        click.echo(f"{step} has no record in the run {found.id}: there is nothing to remove")


@runs.command()
@click.argument("run")
@stack_option
@json_option
def sync(run: str, stack: str | None, as_json: bool) -> None:
    """Send what the steps of RUN logged, and how it ended, to its tracker once more: for a tracker that was down.

    It comes from the run's records, so nothing is lost; what the tracker has already stays as it is. Where the engine
    ended RUN without marking its end (a time limit of the engine's own), that is marked.

    Exits 0 when the tracker has all of it, 1 when there is something that it cannot take.
    """
    from turnout.api.run import Run
    from turnout.api.sync import sync as send

    found = Run(run, stack=stack)
    done = send(found)
    if as_json:
        print_json({"run": found.id, **done._asdict()})
        sys.exit(1 if done.refused else 0)
    if done.tracker == "none":
        click.echo(f"the end of the run {found.id} is marked: {done.state}")
        return
    every = "all but this" if done.refused else "all"
    click.echo(f"the tracker {done.tracker} has {every} that the run {found.id} logged: {done.external_id}")
    for one in done.refused:
        click.echo(f"  {one}")
    click.echo(f"batches sent: {done.sent}; the run's state: {done.state}")
    if done.refused:
        sys.exit(1)
