"""``turnout export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.planning.uploads import Uploads


@click.command()
@click.argument("pipeline")
@stack_option
@click.option(
    "--output", "-o", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR",
    help="The folder to write to.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the folder holds anything else.")
@click.option("--upload", is_flag=True, help="Also send plan, code and the local files it refers to to the store.")
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def export(
    pipeline: str, stack: str | None, folder: Path, check: bool, upload: bool, accept: tuple[str, ...], as_json: bool
) -> None:
    """Write the engine's own files for PIPELINE, and all that its workers need, into a folder.

    The same pipeline gives the same bytes. DIR may hold exports of other pipelines and files of your own: an export
    removes only what the earlier one of the same pipeline wrote. Local files that the pipeline refers to, such as
    defaults of parameters, are not in it: --upload sends them to the store, and so does `publish`.
    """
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline
    from turnout.planning.exporting import Export

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    bundle = launch.export()
    files = Export(folder, launch.plan, bundle.files)
    differing = files.differing
    if not check:
        files.write()
    if upload:
        launch.publish()
    document = {
        "folder": str(files.folder),
        "entrypoint": bundle.entrypoint,
        "plan": launch.plan.digest,
        "changed": sorted(differing),
    }
    if as_json:
        print_json(document)
    else:
        notes = [*launch.planned.notes, *bundle.notes, *([] if upload or check else _missing(launch.planned.uploads))]
        _print(files.folder, bundle, differing, notes, check=check)
    sys.exit(1 if check and differing else 0)


def _missing(uploads: Uploads) -> list[str]:
    paths = uploads.paths
    if not paths:
        return []
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return [f"not in the export, and not sent to the store: {shown}; --upload sends what is not there yet"]


def _print(folder: Path, bundle: Any, differing: dict[str, str], notes: list[str], *, check: bool) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if not differing:
        click.echo(f"{folder} is as it should be")
    elif check:
        for name, what in sorted(differing.items()):
            click.echo(f"{folder / name}: {what}")
    else:
        click.echo(f"wrote {folder / bundle.entrypoint} and what belongs to it: {len(differing)} files changed")
