"""Steps in containers, by Airflow's DockerOperator."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import StepPlan, memory_bytes, pysource
from turnout_airflow.container_settings import DockerOptions
from turnout_airflow.launch.container import ContainerLauncher
from turnout_airflow.settings import TaskOptions


class DockerLauncher(ContainerLauncher):
    """A container, by Airflow's DockerOperator."""

    template = "docker.jinja"
    provider = "its provider for Docker 4.6.1"

    def _common(self) -> dict[str, Any]:
        docker = self.settings.docker
        given: dict[str, Any] = {
            "image": self._image,
            "entrypoint": [self.settings.python or "python", "-m", "turnout.runtime"],
        }
        if self.settings.environment:
            given["environment"] = self.settings.environment
        named = {"docker_url": docker.url, "docker_conn_id": docker.connection, "force_pull": docker.force_pull}
        given.update({name: value for name, value in named.items() if value})
        given.update(_docker(docker))
        mounts = [_mount(one) for one in docker.mounts]
        if docker.mount_bundle:
            mounts.insert(0, pysource.Code('Mount("/turnout", str(BUNDLE), "bind", read_only=True)'))
        if mounts:
            given["mounts"] = mounts
        return {**given, "mount_tmp_dir": False, "auto_remove": "force", "xcom_all": True}

    def _own(self, step: StepPlan, options: TaskOptions) -> dict[str, Any]:
        given: dict[str, Any] = {}
        asked = step.resources
        if asked.cpu is not None:
            given["cpus"] = asked.cpu
        if asked.memory:
            given["mem_limit"] = _docker_memory(asked.memory)
        if asked.gpu:
            given["device_requests"] = pysource.Code(f'[DeviceRequest(count={asked.gpu}, capabilities=[["gpu"]])]')
        given.update(_docker(options.docker))
        if options.docker.mounts:
            also = (
                [pysource.Code('*CONTAINER["mounts"]')]
                if self.settings.docker.mounts or self.settings.docker.mount_bundle
                else []
            )
            given["mounts"] = [*also, *map(_mount, options.docker.mounts)]
        return given


def _docker(options: DockerOptions) -> dict[str, Any]:
    names = {"network": "network_mode", "user": "user", "shm_size": "shm_size"}
    return {argument: getattr(options, name) for name, argument in names.items() if getattr(options, name)}


def _mount(given: str) -> pysource.Code:
    place, target, *mode = given.split(":")
    read_only = {"read_only": True} if mode else {}
    return pysource.call("Mount", target, place, "bind" if place.startswith("/") else "volume", **read_only)


def _docker_memory(quantity: int | str) -> int | str:
    """A quantity as Docker writes it: ``4g`` is 4 * 2**30."""
    size = memory_bytes(quantity)
    for unit, factor in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return size
