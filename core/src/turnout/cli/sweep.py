"""``turnout run --sweep``: a run for each combination of values, and a table of them at the end."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from turnout.cli.options import pairs, print_json, table
from turnout.model.scalars import Typed

if TYPE_CHECKING:
    from turnout.api.launch import Launch
    from turnout.api.sweep import Point, Sweep
    from turnout.model.records import Options


def values_of(given: Iterable[str]) -> dict[str, list[Any]]:
    """The values of ``name=1,2,3``; of ``name=["a,b", "c"]`` those of the JSON list.

    Raises:
        ConfigError: for what is not of that form.
    """
    found: dict[str, list[Any]] = {}
    for name, text in pairs(given, "--sweep").items():
        try:
            listed = json.loads(text) if text.startswith("[") else None
        except ValueError:
            listed = None
        found[name] = listed if isinstance(listed, list) else list(map(Typed, text.split(",")))
    return found


def run_sweep(
    launch: Launch,
    values: dict[str, list[Any]],
    params: dict[str, str],
    options: Options,
    max_parallel: int,
    *,
    as_json: bool,
) -> None:
    """Run all combinations, print how they went, and exit: 0 when all succeeded, 1 when one did not."""
    from turnout.api.sweep import combinations, sweep

    total, numbers = sum(1 for _ in combinations(values)), dict[int, int]()

    def tell(point: Point) -> None:
        number = numbers.setdefault(id(point), len(numbers) + 1)
        shown = " ".join(f"{name}={value}" for name, value in point.params.items())
        reason = f": {point.error.what}" if point.error is not None else ""
        click.echo(f"{number}/{total}  {shown}  {point.run_id or 'not started'}  {point.state}{reason}", err=as_json)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():  # steps may print in this process
            found = sweep(launch, values, params=params, options=options, max_parallel=max_parallel, tell=tell)
    except KeyboardInterrupt:
        click.echo("stopped; what is committed stays", err=True)
        sys.exit(1)
    if as_json:
        print_json({"sweep": found.id, "pipeline": launch.plan.name, "runs": found.rows})
    else:
        _print(found)
    sys.exit(0 if found.succeeded else 1)


def _print(found: Sweep) -> None:
    rows = found.rows
    params = list(dict.fromkeys(name for row in rows for name in row["params"]))
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    click.echo("")
    table(
        ["run", "state", *params, *metrics],
        [
            (
                (row["run"] or "")[:8],
                row["state"],
                *(str(row["params"].get(name, "")) for name in params),
                *(f"{row['metrics'][name]:.6g}" if name in row["metrics"] else "" for name in metrics),
            )
            for row in rows
        ],
        head=True,
    )
    click.echo(f"\nsweep {found.id}: turnout runs list --tag sweep={found.id}")
