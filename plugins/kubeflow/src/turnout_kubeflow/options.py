"""Kubeflow's and Kubernetes' own options of a pipeline and of a step."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from turnout.plugin_api import Config

_LABEL = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
Resource = Annotated[str, Meta(pattern=rf"^{_LABEL}\Z")]
"""The name of a resource of Kubernetes."""
KeyOf = Annotated[str, Meta(pattern=rf"^{_LABEL}/[-._a-zA-Z0-9]+\Z")]
"""A key of a Secret or a ConfigMap: ``NAME/KEY``."""
Claim = Annotated[str, Meta(pattern=rf"^{_LABEL}(/[^/]+)*\Z")]
"""A claim of a volume, and a folder in it where not all of it is meant: ``CLAIM/FOLDER``."""
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
MountPath = Annotated[str, Meta(pattern=r"^/")]


class PipelineOptions(Config, frozen=True):
    """Options of a pipeline: ``pipelines: {flights: {kubeflow: {…}}}``."""

    name: Annotated[
        str,
        Meta(description="What the published pipeline and its schedule are called; else PROJECT.PIPELINE[.INSTANCE]."),
    ] = ""
    max_concurrency: Annotated[
        int, Meta(description="How many runs by schedule may go on at once; a run that is due waits.", ge=1, le=10)
    ] = 1


class Toleration(Config, frozen=True):
    """A taint of a node that a pod bears. Each is Kubernetes' own of that name."""

    key: Annotated[str, Meta(description="The taint's key; all keys if empty.")] = ""
    operator: Annotated[Literal["Equal", "Exists"], Meta(description="Whether the value counts.")] = "Equal"
    value: Annotated[str, Meta(description="The taint's value.")] = ""
    effect: Annotated[
        Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"], Meta(description="The effect; all if empty.")
    ] = ""
    seconds: Annotated[int | None, Meta(description="For how long, where the effect is NoExecute.")] = None


class TaskOptions(Config, frozen=True):
    """Options of a step: ``steps: {"fit*": {kubeflow: {…}}}``; under ``every``, of all containers."""

    secret_environment: Annotated[
        dict[Variable, KeyOf],
        Meta(description="Variables whose values are in Secrets: VARIABLE: SECRET/KEY."),
    ] = msgspec.field(default_factory=dict)
    config_environment: Annotated[
        dict[Variable, KeyOf], Meta(description="Variables whose values are in ConfigMaps: VARIABLE: CONFIGMAP/KEY.")
    ] = msgspec.field(default_factory=dict)
    secret_volumes: Annotated[
        dict[MountPath, Resource], Meta(description="Secrets as folders with a file a key: PATH: SECRET.")
    ] = msgspec.field(default_factory=dict)
    volumes: Annotated[
        dict[MountPath, Claim], Meta(description="Volumes by their claims: PATH: CLAIM, or CLAIM/FOLDER.")
    ] = msgspec.field(default_factory=dict)
    node_selector: Annotated[dict[str, str], Meta(description="Labels that the node must have.")] = msgspec.field(
        default_factory=dict
    )
    tolerations: Annotated[tuple[Toleration, ...], Meta(description="Taints of nodes that the pod bears.")] = ()
    image_pull_policy: Annotated[
        Literal["", "Always", "IfNotPresent", "Never"], Meta(description="When the image is pulled.")
    ] = ""
    image_pull_secrets: Annotated[tuple[Resource, ...], Meta(description="Secrets with the registry's password.")] = ()
    parallelism: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="How many elements of a map run at once; all if not given.")
    ] = None
    labels: Annotated[dict[str, str], Meta(description="Labels of the pod.")] = msgspec.field(default_factory=dict)
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the pod.")] = msgspec.field(
        default_factory=dict
    )


class Accelerator(Config, frozen=True):
    """What a type of accelerator is called in a cluster."""

    resource: Annotated[str, Meta(description="What Kubernetes counts; gpu_resource if empty.")] = ""
    node_selector: Annotated[dict[str, str], Meta(description="Labels of the nodes that have it.")] = msgspec.field(
        default_factory=dict
    )
