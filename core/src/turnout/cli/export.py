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
    """Write the engine's own files for PIPELINE, and all that its workers need, into a folder of its own.

    The same pipeline gives the same bytes. Files of an earlier export that are not part of this one are removed:
    plans and code packages under their digests; nothing else in the folder is touched. Local files that the pipeline
    refers to, such as defaults of parameters, are not in it: --upload sends them to the store, and so does `publish`.
    """
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    bundle = launch.export()
    differing = _differences(folder, bundle.files)
    if not check:
        _write(folder, bundle.files, differing)
    if upload:
        launch.publish()
    document = {"entrypoint": bundle.entrypoint, "plan": launch.plan.digest, "changed": sorted(differing)}
    if as_json:
        print_json(document)
    else:
        notes = [*launch.planned.notes, *bundle.notes, *([] if upload or check else _missing(launch.planned.uploads))]
        _print(folder, bundle, differing, notes, check=check)
    sys.exit(1 if check and differing else 0)


def _missing(uploads: Uploads) -> list[str]:
    paths = uploads.paths
    if not paths:
        return []
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return [f"not in the export, and not sent to the store: {shown}; --upload sends what is not there yet"]


def _differences(folder: Path, files: dict[str, bytes]) -> dict[str, str]:
    """What would have to change for the folder to hold these files: each path, and what is the matter with it."""
    found = {}
    for name, data in files.items():
        path = folder / name
        if not path.is_file():
            found[name] = "missing"
        elif path.read_bytes() != data:
            found[name] = "differs"
    for pattern in ("plans/*.json", "code/*/*"):
        for path in folder.glob(pattern):
            name = path.relative_to(folder).as_posix()
            if name not in files:
                found[name] = "of another export"
    return found


def _write(folder: Path, files: dict[str, bytes], differing: dict[str, str]) -> None:
    for name in sorted(differing):
        path = folder / name
        if name not in files:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        partial.write_bytes(files[name])
        partial.replace(path)


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
