"""``turnout endpoints``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.group()
def endpoints() -> None:
    """List endpoints, look into one, go forward or back, remove one."""


@endpoints.command("list")
@stack_option
@json_option
def list_(stack: str | None, as_json: bool) -> None:
    """List the endpoints that the stack's deployer serves."""
    from turnout.cli.options import table

    found = _deployer(stack).list()
    if as_json:
        print_json([document(status) for status in found])
        return
    if not found:
        click.echo("no endpoint is deployed; deploy one: turnout deploy ENDPOINT")
        return
    table(["endpoint", "state", "version", "url"], [(s.name, s.state, _versions(s), s.url) for s in found])


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def show(name: str, stack: str | None, as_json: bool) -> None:
    """Show one endpoint: its state, what answers, and where. Exits 1 unless it is ready."""
    status = _deployer(stack).status(name)
    _told(status, as_json=as_json)
    if status.state != "ready":
        raise click.exceptions.Exit(1)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def start(name: str, stack: str | None, as_json: bool) -> None:
    """Serve an endpoint again whose processes have ended."""
    from turnout.base.errors import UnsupportedError

    deployer = _deployer(stack)
    if not hasattr(deployer, "start"):
        raise UnsupportedError(f"the {deployer.name} deployer starts endpoints itself")
    _told(deployer.start(name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def promote(name: str, stack: str | None, as_json: bool) -> None:
    """Let the canary of an endpoint answer everything."""
    _told(_deployer(stack).promote(name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def rollback(name: str, stack: str | None, as_json: bool) -> None:
    """Go back: from a canary to the live version alone, else to the version before."""
    _told(_deployer(stack).rollback(name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@stack_option
def logs(name: str, stack: str | None) -> None:
    """Print the log of an endpoint."""
    from turnout.base.texts import shown_line

    for line in _deployer(stack).logs(name):
        click.echo(shown_line(line))


@endpoints.command()
@click.option(
    "--export",
    "folder",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go; one that is there stays, but for targets.json.",
)
@stack_option
def metrics(folder: Path, stack: str | None) -> None:
    """Write what Prometheus and Grafana take: a configuration with the endpoints, rules, alerts, a dashboard."""
    from turnout.serving.monitoring import export

    for path, written in export(folder, _deployer(stack).list()):
        click.echo(f"{path}" + ("" if written else "  stays as it is"))
    click.echo(f"start it: prometheus --config.file {folder / 'prometheus.yml'}")


@endpoints.command()
@click.argument("name")
@stack_option
def delete(name: str, stack: str | None) -> None:
    """Stop serving an endpoint, and remove it."""
    from turnout.api.endpoint import delete as remove
    from turnout.api.workspace import Workspace

    remove(Workspace.here(stack), name)
    click.echo(f"{name} is not served any more")


def document(status: Any) -> dict[str, Any]:
    """A deployment's state as JSON has it."""
    return {
        "name": status.name,
        "state": status.state,
        "url": status.url,
        "versions": [{"version": one.version, "share": one.share} for one in status.versions],
        "message": status.message,
    }


def _told(status: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(document(status))
        return
    click.echo(f"{status.name}: {status.state}" + (f" at {status.url}" if status.url else ""))
    for one in status.versions:
        click.echo(f"  version {one.version[:12]} answers {one.share:.0%}")
    if status.message:
        click.echo(f"  {status.message}")


def _versions(status: Any) -> str:
    return ", ".join(f"{one.version[:12]} {one.share:.0%}" for one in status.versions)


def _deployer(stack: str | None) -> Any:
    from turnout.api.workspace import Workspace
    from turnout.components.kinds import DEPLOYER

    return Workspace.here(stack).stack.component(DEPLOYER)
