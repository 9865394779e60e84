"""The command ``turnout specimen``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", default="world")
def specimen(name: str) -> None:
    """Greet NAME."""
    click.echo(f"hello, {name}")
