"""Steps in pods, by Airflow's KubernetesPodOperator."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.plugin_api import StepPlan, Toleration, digest, plain_memory, pysource
from turnout_airflow.container_settings import KubernetesOptions
from turnout_airflow.launch.container import ContainerLauncher
from turnout_airflow.settings import TaskOptions


class KubernetesLauncher(ContainerLauncher):
    """A pod, by Airflow's KubernetesPodOperator."""

    template = "kubernetes.jinja"
    provider = "its provider for Kubernetes 10.5.0"

    def _common(self) -> dict[str, Any]:
        kubernetes = self.settings.kubernetes
        given: dict[str, Any] = {
            "image": self._image,
            "cmds": [self.settings.python or "python", "-m", "turnout.runtime"],
        }
        names = {
            "connection": "kubernetes_conn_id",
            "namespace": "namespace",
            "image_pull_policy": "image_pull_policy",
        }
        given.update({own: getattr(kubernetes, name) for name, own in names.items() if getattr(kubernetes, name)})
        if kubernetes.image_pull_secrets:
            references = [_model("V1LocalObjectReference", name=name) for name in kubernetes.image_pull_secrets]
            given["image_pull_secrets"] = references
        if kubernetes.startup_timeout != type(kubernetes)().startup_timeout:
            given["startup_timeout_seconds"] = kubernetes.startup_timeout
        return {**given, **_pod(kubernetes, self.settings.environment), "deferrable": False}

    def _own(self, step: StepPlan, options: TaskOptions) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if resources := self._resources(step):
            given["container_resources"] = resources
        own = options.kubernetes
        if label := self._accelerator(step):
            own = msgspec.structs.replace(own, node_selector={**own.node_selector, **label})
        common = self.settings.kubernetes
        if own.volumes:
            own = msgspec.structs.replace(own, volumes={**common.volumes, **own.volumes})
        shared = _pod(msgspec.structs.replace(common, volumes={}), self.settings.environment)
        for name, value in _pod(own, {}).items():
            written = pysource.literal(value)
            if name in shared and isinstance(written, pysource.Code) and written.lines:
                lines = written.lines
                also = f"{'**' if lines.opening == '{' else '*'}POD[{pysource.literal(name)}]"
                given[name] = pysource.nested(lines.opening, [also, *lines.items], lines.closing)
            else:
                given[name] = value
        return given

    def _accelerator(self, step: StepPlan) -> dict[str, str]:
        label = self.settings.kubernetes.accelerator_label
        return {label: step.resources.accelerator} if label and step.resources.accelerator else {}

    def _resources(self, step: StepPlan) -> pysource.Code | None:
        asked = step.resources
        requests: dict[str, str] = {}
        limits: dict[str, str] = {}
        if asked.cpu is not None:
            requests["cpu"] = f"{asked.cpu:g}"
        if asked.memory:
            requests["memory"] = limits["memory"] = str(plain_memory(asked.memory))
        if asked.gpu:
            limits[self.settings.kubernetes.gpu_resource] = str(asked.gpu)
        named = {"requests": requests, "limits": limits}
        given = {name: value for name, value in named.items() if value}
        return _model("V1ResourceRequirements", **given) if given else None


def _pod(options: KubernetesOptions, environment: dict[str, str]) -> dict[str, Any]:
    """The operator's arguments for what may be different from step to step."""
    given: dict[str, Any] = {}
    names = {
        "service_account": "service_account_name",
        "priority_class": "priority_class_name",
        "node_selector": "node_selector",
        "labels": "labels",
        "annotations": "annotations",
    }
    given.update({own: getattr(options, name) for name, own in names.items() if getattr(options, name)})
    if options.tolerations:
        given["tolerations"] = [*map(_toleration, options.tolerations)]
    variables = [_model("V1EnvVar", name=name, value=_escaped(value)) for name, value in environment.items()]
    for name, reference in options.secret_environment.items():
        secret, _, key = reference.partition("/")
        selector = _model("V1EnvVarSource", secret_key_ref=_model("V1SecretKeySelector", name=secret, key=key))
        variables.append(_model("V1EnvVar", name=name, value_from=selector))
    if variables:
        given["env_vars"] = variables
    given.update(_volumes(options.volumes))
    return given


def _volumes(claims: dict[str, str]) -> dict[str, list[pysource.Code]]:
    """Volumes by their claims, and where they are mounted."""
    if not claims:
        return {}
    volumes, mounts = [], []
    for path, given in claims.items():
        claim, _, folder = given.partition("/")
        name = f"volume-{digest(path.encode())[:8]}"
        claimed = _model("V1PersistentVolumeClaimVolumeSource", claim_name=claim)
        volumes.append(_model("V1Volume", name=name, persistent_volume_claim=claimed))
        place = {"sub_path": folder} if folder else {}
        mounts.append(_model("V1VolumeMount", name=name, mount_path=path, **place))
    return {"volumes": volumes, "volume_mounts": mounts}


def _toleration(given: Toleration) -> str:
    seconds = {} if given.seconds is None else {"toleration_seconds": given.seconds}
    return _model("V1Toleration", **given.fields, **seconds)


def _model(name: str, /, **fields: Any) -> pysource.Code:
    return pysource.call(f"k8s.{name}", **fields)


def _escaped(value: str) -> str:
    """A variable's value that Kubernetes leaves as it is: it would replace ``$(NAME)``."""
    return value.replace("$", "$$")
