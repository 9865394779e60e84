"""``turnout artifacts gc``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from turnout.cli.options import json_option, print_json, stack_option, table


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """What an option's text means as a span of time: ``30d``, ``12h``, ``0``."""
    if value is None:
        return None
    from turnout.base import durations
    from turnout.base.errors import DefinitionError

    try:
        return timedelta(seconds=durations.seconds("0s" if value == "0" else value, "span", None, zero=True))
    except (DefinitionError, OverflowError):
        raise click.BadParameter(f"{value!r} is not a span of time such as 30d, 12h or 90m", ctx, param) from None


@click.command()
@click.option("--keep-runs", type=click.IntRange(min=0), metavar="N", help="Remove all but the newest N of a pipeline.")
@click.option("--older-than", callback=span, metavar="SPAN", help="Remove runs created longer ago, such as 30d.")
@click.option("--pipeline", metavar="NAME", help="Remove runs of this pipeline only.")
@click.option(
    "--grace",
    callback=span,
    default="24h",
    show_default=True,
    metavar="SPAN",
    help="Keep what is younger: runs in flight.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be.")
@stack_option
@json_option
def gc(dry_run: bool, stack: str | None, as_json: bool, **chosen: Any) -> None:
    """Remove what nothing names any more: artifacts, code, plans; before that, the runs that may go.

    Without --keep-runs and --older-than no run is removed; with both, runs that are beyond the one and the other. What
    aliases name, what engines were given, and a pipeline's newest success always stay.
    """
    from rich.filesize import decimal

    from turnout.api.garbage import collect_garbage
    from turnout.api.workspace import Workspace

    done = collect_garbage(Workspace.here(stack), dry_run=dry_run, **chosen)
    if as_json:
        print_json({"dry_run": dry_run, "bytes": sum(one.bytes for one in done.freed.values()), "collected": done})
        return
    would = "would remove" if dry_run else "removed"
    rows = [(kind, str(freed.count), decimal(freed.bytes)) for kind, freed in sorted(done.freed.items())]
    table(["kind", would, "freed"], [*rows, ("all", "", decimal(sum(one.bytes for one in done.freed.values())))])
    if done.later.count:
        click.echo(
            f"{decimal(done.later.bytes)} more, of the runs that go now, can be freed after the grace period: "
            "call this again then",
            err=True,
        )
