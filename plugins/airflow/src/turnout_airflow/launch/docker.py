"""Steps in containers, by Airflow's DockerOperator."""

from __future__ import annotations

import re
from typing import Any

from turnout.plugin_api import StepPlan, memory_bytes
from turnout_airflow.container_settings import DockerOptions
from turnout_airflow.launch.container import ContainerLauncher
from turnout_airflow.settings import TaskOptions, task_options
from turnout_airflow.source import Code, imported, literal, nested


class DockerLauncher(ContainerLauncher):
    """A container, by Airflow's DockerOperator."""

    provider = "its provider for Docker 4.6.1"
    common = "CONTAINER"

    @property
    def how(self) -> str:
        """Where the container looks."""
        place = _BUNDLE if self.settings.docker.mount_bundle else _PLACE
        return f"A task runs turnout's runtime in a container, which finds plan, code and\n{place}."

    @property
    def sdk(self) -> list[str]:
        """What the operator tells Airflow."""
        return ["AirflowFailException", *super().sdk]

    @property
    def others(self) -> list[str]:
        """The operator, and what it takes."""
        types = [name for name, used in (("DeviceRequest", self._has_gpu), ("Mount", self._has_mounts)) if used]
        return [
            imported("airflow.providers.docker.exceptions", ["DockerContainerFailedException"]),
            imported("airflow.providers.docker.operators.docker", ["DockerOperator"]),
            *([imported("docker.types", types)] if types else []),
        ]

    @property
    def _has_gpu(self) -> bool:
        return any(step.resources.gpu for step in self.plan.steps)

    @property
    def _has_mounts(self) -> bool:
        docker = self.settings.docker
        return bool(
            docker.mount_bundle or docker.mounts or any(task_options(step).docker.mounts for step in self.plan.steps)
        )

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
        if asked.cpu != 1:
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

    def operator(self) -> str:
        bundle = self.settings.docker.mount_bundle
        slots = {
            "@BUNDLE": ', "--bundle", "/turnout"' if bundle else "",
            "@STORE": "" if bundle else _STORE,
            "@ALSO": "" if bundle else "**store, ",
        }
        return re.sub("@[A-Z]+", lambda found: slots[found[0]], _CALL)


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


_BUNDLE = "store by the folder that this file lies in"
_PLACE = "files in the store that environment.json names"
_STORE = """\
        store = json.loads((BUNDLE / "environment.json").read_text(encoding="utf-8"))
"""
_CALL = '''\
def outcome_of(lines):
    """What the runtime tells of the outcome: the last line that it prints."""
    told = [line for line in lines or [] if line.startswith('{"')]
    return json.loads(told[-1]) if told else {}


class CallRuntime(DockerOperator):
    """Call turnout's runtime in a container; return what it tells of the outcome."""

    template_fields = ("image", "command")
    template_ext = ()

    def __init__(self, *, words, **given):
        run = ["--plan", PLAN, "--engine-run", "{{ run_id }}"@BUNDLE]
        super().__init__(command=[*words, *run], **{**CONTAINER, **given})

    def execute(self, context):
@STORE        given = {@ALSO**self.environment}
        given["TURNOUT_PARAMS"] = submission(context["dag_run"])
        self.environment = given
        try:
            return outcome_of(super().execute(context))
        except DockerContainerFailedException as error:
            outcome = outcome_of(error.logs)
            if outcome.get("state") == "failed" and not outcome.get("retryable"):
                raise AirflowFailException("would fail again: see above") from error
            raise


'''
