"""The command ``turnout specimen``."""

from __future__ import annotations

import click


@click.command("specimen")
@click.argument("name", default="world")
def greet(name: str) -> None:
    """Greet NAME."""
    click.echo(f"hello, {name}")
