"""Steps of kfp.local in containers, by whatever serves Docker's API: docker, or podman.

kfp's DockerRunner takes a container that is removed before it is asked for its exit code for a success, whatever
became of it, so a step that fails is not tried again. Here containers are removed after they have been asked.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from turnout.plugin_api import PluginError, RunError

LOOK = 0.1
"""Seconds between two looks at a container. Podman answers who waits for the end of one, but not always."""
LABEL = "turnout.engine-run"
"""Which run a container is of."""


def check(images: Iterable[str]) -> None:
    """See that containers of these images can be started here; those that are not here are pulled.

    Raises:
        PluginError: where the client is not installed.
        RunError: where nothing answers it, or an image cannot be had.
    """
    if find_spec("docker") is None:
        raise PluginError(
            "the client of Docker's API is not installed", fix='pip install "turnout-kubeflow[containers]"'
        )
    import docker

    missing = ""
    try:
        with contextlib.closing(docker.from_env()) as client:
            client.ping()
            for missing in sorted(set(images)):
                with contextlib.suppress(docker.errors.ImageNotFound):
                    client.images.get(missing)
                    continue
                client.images.pull(missing)
    except docker.errors.DockerException as error:
        what = f"the image {missing} is not here and cannot be pulled"
        fix = "build it here: turnout image build, or name another in the stack"
        if not missing:
            what = "nothing answers that could start containers"
            fix = "start Docker, or `podman system service`, and let DOCKER_HOST name its socket"
        raise RunError(what, why=str(error).splitlines()[0], fix=fix) from None


def runner(engine_run: str, environment: Mapping[str, str], folders: Iterable[str], network: str | None) -> Any:
    """kfp's DockerRunner for a run: as the user that this process has, with folders at the same paths as here."""
    from docker.types import Mount
    from kfp import local
    from kfp.local import docker_task_handler

    docker_task_handler.run_docker_container = run
    more = {"network": network} if network else {}
    return local.DockerRunner(
        environment=dict(environment),
        labels={LABEL: engine_run},
        mounts=[Mount(target=folder, source=folder, type="bind") for folder in folders],
        user=f"{os.getuid()}:{os.getgid()}",
        **more,
    )


def run(client: Any, image: str, command: list[str], volumes: Mapping[str, Any], **settings: Any) -> int:
    """Run a container to its end, print what it says, and return its exit code; stands in for kfp's own."""
    import docker

    container = client.containers.run(image=image, command=command, detach=True, volumes=volumes, **settings)
    try:
        while (state := container.attrs["State"])["Status"] not in {"exited", "dead"}:
            time.sleep(LOOK)
            container.reload()
        print(container.logs().decode(errors="replace"), end="")
        return int(state["ExitCode"])
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)


def stop(engine_run: str, grace: float) -> None:
    """End and remove the containers of a run; their steps have *grace* seconds for it."""
    import docker

    with contextlib.closing(docker.from_env()) as client:
        for container in client.containers.list(all=True, filters={"label": f"{LABEL}={engine_run}"}):
            with contextlib.suppress(docker.errors.APIError):
                container.stop(timeout=int(grace))
                container.remove(force=True)
