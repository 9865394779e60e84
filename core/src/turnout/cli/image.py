"""``turnout image``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turnout.cli.options import json_option, print_json, stack_option

if TYPE_CHECKING:
    from turnout.api.deployment import Deployment
    from turnout.api.launch import Launch


@click.group()
def image() -> None:
    """Build container images for the steps of a pipeline, or one that serves an endpoint."""


@image.command()
@click.argument("target", metavar="PIPELINE|ENDPOINT")
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
@click.option("--run", metavar="RUN", help="Of an endpoint: the run it serves; as defined if not given.")
@click.option("--accept", multiple=True, metavar="WHAT", help="Go without something the stack cannot give; code.")
@json_option
def build(
    target: str,
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
    run: str | None,
    accept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build an image in which the steps of a pipeline run, or one that serves an endpoint, by the docker, podman or
    buildah that there is.

    It holds the exact versions the steps are locked to, and turnout. Steps with requirements of their own have an
    image each. That of an endpoint also holds its code and its run's artifacts. Where nothing can build, the Dockerfile
    is written all the same.
    """  # fmt: skip
    from turnout.api.endpoint import Endpoint
    from turnout.api.image import EndpointImage, Images
    from turnout.api.launch import Launch
    from turnout.base.errors import ConfigError
    from turnout.cli.target import find_defined

    found = find_defined(target)
    chosen: dict[str, Any] = {"base": base, "tag": tag, "folder": folder}
    subject: Launch | Deployment
    if isinstance(found, Endpoint):
        subject = found.prepare(stack=stack, run=run, accept=accept)
        images: Images = EndpointImage(subject, **chosen)
    elif run:
        raise ConfigError("--run is of endpoints", fix=f"name one: {target.partition(':')[0]}:NAME")
    else:
        subject = Launch.of(found, stack=stack, accept=accept)
        images = Images(subject, **chosen, bake_code=bake_code)
    images.write()
    used = None if file_only else images.build(builder, pip_config=pip_config, push=push, options=options)
    if as_json:
        rows = [
            {"environment": one.environment, "steps": one.steps, "tag": one.tag, "folder": str(one.folder)}
            for one in images.each
        ]
        print_json({"plan": subject.plan.digest, "builder": used, "pushed": push and not file_only, "images": rows})
        return
    for note in subject.planned.notes:
        click.echo(f"note: {note}", err=True)
    for one in images.each:
        click.echo(f"{one.tag}: {'in' if used is None else f'built by {used} from'} {one.folder}")
        if one.environment != "default":
            click.echo(f"  name it under steps in the stack, for {', '.join(one.steps)}")
