"""Steps in containers, by Airflow's DockerOperator."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import StepPlan, memory_bytes
from turnout_airflow.container_settings import DockerOptions
from turnout_airflow.launch.container import ContainerLauncher
from turnout_airflow.settings import TaskOptions
from turnout_airflow.source import Code, literal, nested


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
            mounts.insert(0, 'Mount("/turnout", str(BUNDLE), "bind", read_only=True)')
        if mounts:
            given["mounts"] = nested("[", mounts, "]")
        return {**given, "mount_tmp_dir": False, "auto_remove": "force", "xcom_all": True}

    def _own(self, step: StepPlan, options: TaskOptions) -> dict[str, Any]:
        given: dict[str, Any] = {}
        asked = step.resources
        if asked.cpu is not None:
            given["cpus"] = asked.cpu
        if asked.memory:
            given["mem_limit"] = _docker_memory(asked.memory)
        if asked.gpu:
            given["device_requests"] = Code(f'[DeviceRequest(count={asked.gpu}, capabilities=[["gpu"]])]')
        given.update(_docker(options.docker))
        if options.docker.mounts:
            also = ['*CONTAINER["mounts"]'] if self.settings.docker.mounts or self.settings.docker.mount_bundle else []
            given["mounts"] = nested("[", [*also, *map(_mount, options.docker.mounts)], "]")
        return given


def _docker(options: DockerOptions) -> dict[str, Any]:
    names = {"network": "network_mode", "user": "user", "shm_size": "shm_size"}
    return {argument: getattr(options, name) for name, argument in names.items() if getattr(options, name)}


def _mount(given: str) -> str:
    source, target, *mode = given.split(":")
    words = [literal(target), literal(source), literal("bind" if source.startswith("/") else "volume")]
    return f"Mount({', '.join([*words, *(['read_only=True'] if mode else [])])})"


def _docker_memory(quantity: int | str) -> int | str:
    """A quantity as Docker writes it: ``4g`` is 4 * 2**30."""
    size = memory_bytes(quantity)
    for unit, factor in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return size
