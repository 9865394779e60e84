"""``turnout plugin``."""

from __future__ import annotations

import click

from turnout.cli.options import json_option, print_json


@click.group()
def plugin() -> None:
    """List the installed plugins and what they bring."""


@plugin.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List every plugin with its components by kind; one that is broken, with the reason and the fix."""
    from turnout.registry import discover

    plugins = discover().plugins()
    if as_json:
        print_json(plugins)
        return
    for info in plugins:
        source = f" ({info.distribution} {info.version})" if info.distribution else ""
        click.echo(f"{info.name}{source}")
        for kind, names in info.components.items():
            click.echo(f"  {kind.replace('_', ' ')}: {', '.join(names)}")
        for problem in info.problems:
            click.echo(f"  problem: {problem.cause}")
            click.echo(f"    fix: {problem.fix}")
