"""``turnout runs compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from turnout.cli.options import as_text, json_option, print_json, shown_param, stack_option, table

if TYPE_CHECKING:
    from turnout.api.comparison import Comparison


@click.command()
@click.argument("given", nargs=-1, required=True, metavar="RUN...")
@stack_option
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@click.option("--diff", is_flag=True, help="Also the code of each against the first's, as a unified diff.")
@click.option("--csv", "csv", type=click.Path(path_type=Path, allow_dash=True), help="Write the table to this file.")
@json_option
def compare(
    given: tuple[str, ...], stack: str | None, everything: bool, diff: bool, csv: Path | None, as_json: bool
) -> None:
    """Show in what runs differ: parameters, tags, packages, files, code, results, what tables are like, metrics."""
    from turnout.api.comparison import compare as compared

    found = compared(*given, stack=stack, everything=everything)
    if csv is not None:
        _write(found, csv)
    if as_json:
        print_json(
            {
                "runs": [run.id for run in found.runs],
                "rows": [msgspec.to_builtins(row) for row in found.rows],
                "diff": found.diff,
            }
        )
        return
    if csv is None:
        _print(found)
    if diff:
        click.echo(f"\n{found.diff}" if found.diff else "their code is the same")


def _print(found: Comparison) -> None:
    if not found.rows:
        states = [run.state for run in found.runs]
        if set(states) == {"succeeded"}:
            click.echo("the runs are the same")
        else:
            click.echo(f"nothing differs in what the runs have done; they are {' and '.join(states)}")
        return
    table(
        ["what", "name", *(run.id[:8] for run in found.runs)],
        [(row.what, row.name, *(shown_param(one, as_text) for one in row.values)) for row in found.rows],
        head=True,
    )


def _write(found: Comparison, path: Path) -> None:
    import csv

    lines = [("what", "name", *(run.id for run in found.runs))]
    lines += [(row.what, row.name, *("" if one is None else as_text(one) for one in row.values)) for row in found.rows]
    if str(path) == "-":
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)
