"""``turnout endpoints``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import msgspec

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.api.workspace import Workspace
    from turnout.components.deployer import Deployer, EndpointStatus


@click.group()
def endpoints() -> None:
    """List endpoints, look into one, go forward or back, remove one."""


@endpoints.command("list")
@stack_option
@json_option
def list_(stack: str | None, as_json: bool) -> None:
    """List the endpoints that the stack's deployer serves."""
    from turnout.cli.options import table

    found = _deployer(_workspace(stack)).list()
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
    status = _deployed(_workspace(stack), name)
    _told(status, as_json=as_json)
    if status.state != "ready":
        raise click.exceptions.Exit(1)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def start(name: str, stack: str | None, as_json: bool) -> None:
    """Serve an endpoint again whose processes have ended."""
    workspace = _workspace(stack)
    _deployed(workspace, name)
    _told(_deployer(workspace).start(name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def promote(name: str, stack: str | None, as_json: bool) -> None:
    """Let the canary of an endpoint answer everything."""
    from turnout.api.endpoint import promote as forward

    workspace = _workspace(stack)
    _deployed(workspace, name)
    _told(forward(workspace, name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def rollback(name: str, stack: str | None, as_json: bool) -> None:
    """Go back: from a canary to the live version alone, else to the version before."""
    from turnout.api.endpoint import rollback as back

    workspace = _workspace(stack)
    _deployed(workspace, name)
    _told(back(workspace, name), as_json=as_json)


@endpoints.command()
@click.argument("name")
@click.argument("rows", required=False, type=click.File("rb"))
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 8), help="Of stored rows, how many.")
@stack_option
@json_option
def predict(name: str, rows: BinaryIO | None, count: int, stack: str | None, as_json: bool) -> None:
    """Ask an endpoint about ROWS, a file with a JSON list of objects (- for standard input); or about stored rows."""
    from turnout.api.endpoint import rows_like

    workspace = _workspace(stack)
    _deployed(workspace, name)
    asked = rows_like(workspace, name)[:count] if rows is None else _rows(rows)
    answers = list(_deployer(workspace).predict(name, asked))
    if as_json:
        print_json({"rows": asked, "predictions": answers})
        return
    for row, answer in zip(asked, answers, strict=True):
        click.echo(f"{msgspec.json.encode(row).decode()}\n  {msgspec.json.encode(answer).decode()}")


def _rows(file: BinaryIO) -> list[dict[str, Any]]:
    from turnout.base.errors import ConfigError

    try:
        return msgspec.json.decode(file.read(), type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{file.name} holds no rows: {error}", fix='write a JSON list of objects: [{"distance": 1200}]'
        ) from None


@endpoints.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Wait for further lines, until Ctrl-C.")
@stack_option
def logs(name: str, stack: str | None, follow: bool) -> None:
    """Print the log of an endpoint."""
    from turnout.base.texts import shown_line

    workspace = _workspace(stack)
    _deployed(workspace, name)
    for line in _deployer(workspace).logs(name, follow=follow):
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

    for path, written in export(folder, _deployer(_workspace(stack)).list()):
        click.echo(f"{path}" + ("" if written else "  stays as it is"))
    click.echo(f"start it: prometheus --config.file {folder / 'prometheus.yml'}")


@endpoints.command()
@click.argument("name")
@stack_option
@json_option
def delete(name: str, stack: str | None, as_json: bool) -> None:
    """Stop serving an endpoint, and remove it."""
    from turnout.api.endpoint import delete as remove

    remove(_workspace(stack), name)
    if as_json:
        print_json({"name": name, "state": "absent"})
        return
    click.echo(f"{name} is not served any more")


def document(status: EndpointStatus) -> dict[str, Any]:
    """A deployment's state as JSON has it."""
    return {
        "name": status.name,
        "state": status.state,
        "url": status.url,
        "versions": [{"version": one.version, "share": one.share} for one in status.versions],
        "message": status.message,
    }


def _told(status: EndpointStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(document(status))
        return
    click.echo(f"{status.name}: {status.state}" + (f" at {status.url}" if status.url else ""))
    for one in status.versions:
        click.echo(f"  version {one.version[:12]} answers {one.share:.0%}")
    if status.message:
        click.echo(f"  {status.message}")


def _versions(status: EndpointStatus) -> str:
    return ", ".join(f"{one.version[:12]} {one.share:.0%}" for one in status.versions)


def _workspace(stack: str | None) -> Workspace:
    from turnout.api.workspace import Workspace

    return Workspace.here(stack)


def _deployer(workspace: Workspace) -> Deployer[Any]:
    from turnout.components.kinds import DEPLOYER

    return workspace.stack.component(DEPLOYER)


def _deployed(workspace: Workspace, name: str) -> EndpointStatus:
    """The state of an endpoint that there is.

    Raises:
        DeployError: when there is none.
    """
    from turnout.api.endpoint import unknown

    status = _deployer(workspace).status(name)
    if status.state == "absent":
        raise unknown(workspace, name)
    return status
