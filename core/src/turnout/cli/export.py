"""``turnout export``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.api.endpoint import Endpoint
    from turnout.api.pipeline import Pipeline
    from turnout.planning.exporting import Export
    from turnout.planning.uploads import Uploads


@click.command()
@click.argument("target", metavar="PIPELINE|ENDPOINT")
@stack_option
@click.option(
    "--output", "-o", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR",
    help="The folder to write to.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the folder holds anything else.")
@click.option("--upload", is_flag=True, help="Also send plan, code and the local files it refers to to the store.")
@click.option("--update", is_flag=True, help="Of an endpoint: look anew for the run it serves, whatever is locked.")
@click.option(
    "--share", type=float, metavar="SHARE",
    help="Of an endpoint: its share of the requests; less than 1 is a canary beside the version in DIR.",
)  # fmt: skip
@click.option("--run", metavar="RUN", help="Of an endpoint: the run it serves; as defined if not given.")
@click.option("--accept", multiple=True, metavar="WHAT", help="Go without something the stack cannot give; code.")
@json_option
def export(
    target: str,
    stack: str | None,
    folder: Path,
    check: bool,
    upload: bool,
    update: bool,
    share: float | None,
    run: str | None,
    accept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write the engine's own files for a pipeline, or the deployer's for an endpoint, into a folder.

    The same definition gives the same bytes. DIR may hold exports of others and files of your own: an export
    removes only what the earlier one of the same wrote. Local files that a pipeline refers to, such as
    defaults of parameters, are not in it: --upload sends them to the store, and so does `publish`.

    An endpoint's export keeps to the run in its bindings.lock, whatever newer runs there are, until --update.
    With --share it is a canary beside the version that DIR has, until it is exported with --share 1 or --update.
    """
    from turnout.api.endpoint import Endpoint
    from turnout.base.errors import ConfigError
    from turnout.cli.target import find_defined

    found = find_defined(target)
    if isinstance(found, Endpoint):
        files, document, notes = _endpoint(
            found, stack, folder, check=check, upload=upload, update=update, share=share, run=run, accept=accept
        )  # fmt: skip
    elif update or run or share is not None:
        raise ConfigError(
            "--update, --share and --run are of endpoints", fix=f"name one: {target.partition(':')[0]}:NAME"
        )
    else:
        files, document, notes = _pipeline(found, stack, folder, check=check, upload=upload, accept=accept)
    differing = document["changed"]
    if as_json:
        print_json({**document, "changed": sorted(differing)})
    else:
        _print(files.folder, document["entrypoint"], differing, notes, check=check)
    sys.exit(1 if check and differing else 0)


def _pipeline(
    pipeline: Pipeline, stack: str | None, folder: Path, *, check: bool, upload: bool, accept: Sequence[str]
) -> tuple[Export, dict[str, Any], list[str]]:
    from turnout.api.launch import Launch
    from turnout.planning.exporting import Export, owner

    launch = Launch.of(pipeline, stack=stack, accept=tuple(accept))
    plan, bundle = launch.plan, launch.export()
    files = Export(folder, owner(plan.project, plan.name, plan.orchestrator, plan.instance), bundle.files)
    differing = files.differing
    if not check:
        files.write()
    if upload:
        launch.publish()
    notes = [*launch.planned.notes, *bundle.notes, *([] if upload or check else _missing(launch.planned.uploads))]
    return files, _document(files, bundle.entrypoint, plan.digest, differing), notes


def _endpoint(
    endpoint: Endpoint,
    stack: str | None,
    folder: Path,
    *,
    check: bool,
    upload: bool,
    update: bool,
    share: float | None,
    run: str | None,
    accept: Sequence[str],
) -> tuple[Export, dict[str, Any], list[str]]:
    from turnout.api.endpoint import upload as send
    from turnout.planning.exporting import Export

    kept = None if update else folder
    deployment = endpoint.prepare(stack=stack, run=run, accept=accept, kept=kept)
    bundle, share = deployment.export(folder, share)
    files = Export(folder, deployment.owner, bundle.files)
    differing = files.differing
    if not check:
        files.write()
    notes = [*deployment.planned.notes, *bundle.notes]
    if upload:
        send(deployment, share)
    elif not check and deployment.unsent:
        notes.append(
            "not all that it takes is in the store: --upload sends it, and keeps there what the endpoint serves"
        )
    document = _document(files, bundle.entrypoint, deployment.plan.digest, differing)
    return files, {**document, "run": deployment.plan.run, "share": share}, notes


def _document(files: Export, entrypoint: str, digest: str, differing: dict[str, str]) -> dict[str, Any]:
    return {"folder": str(files.folder), "entrypoint": entrypoint, "plan": digest, "changed": differing}


def _missing(uploads: Uploads) -> list[str]:
    paths = uploads.paths
    if not paths:
        return []
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return [f"not in the export, and not sent to the store: {shown}; --upload sends what is not there yet"]


def _print(folder: Path, entrypoint: str, differing: dict[str, str], notes: list[str], *, check: bool) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if not differing:
        click.echo(f"{folder} is as it should be")
    elif check:
        for name, what in sorted(differing.items()):
            click.echo(f"{folder / name}: {what}")
    else:
        click.echo(f"wrote {folder / entrypoint} and what belongs to it: {len(differing)} files changed")
