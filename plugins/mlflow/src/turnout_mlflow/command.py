"""``turnout mlflow up|down``: an MLflow on this machine's loopback, to try things on."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def mlflow() -> None:
    """An MLflow of this machine alone, in a folder of its own, to try things on."""


_home = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".turnout/mlflow"),
    show_default=True,
    help="The folder that all of it lies in.",
)


@mlflow.command()
@_home
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Where it answers.")
@click.option("--python", metavar="PATH", help="An interpreter that has MLflow; this one if it has.")
def up(home: Path, port: int, python: str | None) -> None:
    """Start MLflow's server, on SQLite, without sign-in, on loopback only.

    Exits 0 when it answers. Nothing happens where it runs already.
    """
    from turnout_mlflow.trial import Trial

    trial = Trial(home)
    url = trial.up(port, python)
    click.echo(f"MLflow is at {url}, its log in {trial.log}")
    if not url.endswith(f":{port}"):
        click.echo("it was running there already; for another port: turnout mlflow down, then up again")
    click.echo(f"for a stack: tracker: {{type: mlflow, uri: {url}}}")


@mlflow.command()
@_home
def down(home: Path) -> None:
    """Stop the MLflow that `up` started, and nothing else. What it knows stays in its folder."""
    from turnout_mlflow.trial import Trial

    click.echo("stopped the server" if Trial(home).down() else "nothing was running")
