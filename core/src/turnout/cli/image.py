"""``turnout image``."""

from __future__ import annotations

from pathlib import Path

import click

from turnout.cli.options import json_option, print_json, stack_option


@click.group()
def image() -> None:
    """Build container images for the steps of a pipeline."""


@image.command()
@click.argument("pipeline")
@click.argument("options", nargs=-1, metavar="[-- OPTIONS OF THE BUILDER]")
@stack_option
@click.option(
    "--tag", "-t", metavar="NAME:TAG", help="The image's name; else the project's, and a digest of what it holds."
)
@click.option("--base", metavar="IMAGE", help="The image to start from; else the stack's environment.base_image.")
@click.option("--bake-code", is_flag=True, help="Put the project's code into the image, too.")
@click.option(
    "--output",
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the Dockerfile goes; else .turnout/images in the project.",
)
@click.option("--file-only", is_flag=True, help="Write the Dockerfile and what belongs to it; build nothing.")
@click.option("--builder", metavar="COMMAND", help="docker, podman or buildah; else the stack's environment.builder.")
@click.option(
    "--pip-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A pip.conf that says where packages come from; it is in no layer.",
)
@click.option("--push", is_flag=True, help="Push what was built.")
@click.option("--accept", multiple=True, metavar="CAPABILITY", help="Go without something the stack cannot give.")
@json_option
def build(
    pipeline: str,
    options: tuple[str, ...],
    stack: str | None,
    tag: str | None,
    base: str | None,
    bake_code: bool,
    folder: Path | None,
    file_only: bool,
    builder: str | None,
    pip_config: Path | None,
    push: bool,
    accept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build an image in which the steps of PIPELINE run, by the docker, podman or buildah that there is.

    It holds the exact versions the steps are locked to, and turnout. Steps with requirements of their own have an
    image each. Where nothing can build, the Dockerfile is written all the same.
    """  # fmt: skip
    from turnout.api.image import Images
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    launch = Launch.of(find_pipeline(pipeline), stack=stack, accept=accept)
    images = Images(launch, base=base, tag=tag, folder=folder, bake_code=bake_code)
    images.write()
    used = None if file_only else images.build(builder, pip_config=pip_config, push=push, options=options)
    if as_json:
        rows = [
            {"environment": one.environment, "steps": one.steps, "tag": one.tag, "folder": str(one.folder)}
            for one in images.each
        ]
        print_json({"plan": launch.plan.digest, "builder": used, "pushed": push and not file_only, "images": rows})
        return
    for note in launch.planned.notes:
        click.echo(f"note: {note}", err=True)
    for one in images.each:
        click.echo(f"{one.tag}: {'in' if used is None else f'built by {used} from'} {one.folder}")
        if one.environment != "default":
            click.echo(f"  name it under steps in the stack, for {', '.join(one.steps)}")
