"""``turnout init``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from turnout.cli.samples import sample

SAMPLE = "examples/first"
FILES = ("pyproject.toml", "pipeline.py", "test_pipeline.py", ".gitignore")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a small project into FOLDER (this one, if left out) that runs and passes its test at once.

    A file that is there already is never overwritten.
    """
    from turnout.base.errors import ConfigError
    from turnout.base.names import problem, suggestion

    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise ConfigError(
            f"{folder / taken[0]} exists already",
            why="init overwrites nothing",
            fix="give a new folder: turnout init DIR",
        )
    name = folder.resolve().name
    name = suggestion(name) if problem(name) else name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in FILES:
            (folder / path).write_text(sample(f"{SAMPLE}/{path}").replace('"first"', f'"{name}"'), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the project cannot be written to {folder}", why=error.strerror, fix="give a folder you may write to"
        ) from None
    for path in FILES:
        click.echo(f"wrote {folder / path}")
    click.echo("\ntry next")
    if folder != Path():
        click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  turnout run pipeline.py")
    click.echo("  pytest")
