"""``turnout airflow up|down``: an Airflow on this machine's loopback, to try things on."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def airflow() -> None:
    """An Airflow of this machine alone, in a folder of its own, to try things on."""


_home = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".turnout/airflow"),
    show_default=True,
    help="The folder that all of it lies in.",
)


@airflow.command()
@_home
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Where its API answers.")
@click.option("--python", metavar="PATH", help="An interpreter that has Airflow; this one if it has.")
def up(home: Path, port: int, python: str | None) -> None:
    """Start Airflow: API server, scheduler, DAG processor, on SQLite; without sign-in, on loopback only.

    Exits 0 when it answers. Nothing happens where it runs already.
    """
    from turnout_airflow.trial import Trial

    trial = Trial(home)
    url = trial.up(port, python)
    click.echo(f"Airflow is at {url}, its logs in {trial.home / 'server-logs'}")
    click.echo(f"for the stack airflow: export AIRFLOW_HOME={trial.home} AIRFLOW_URL={url}")


@airflow.command()
@_home
def down(home: Path) -> None:
    """Stop the Airflow that `up` started, and nothing else. What it knows stays in its folder."""
    from turnout_airflow.trial import Trial

    stopped = Trial(home).down()
    click.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
