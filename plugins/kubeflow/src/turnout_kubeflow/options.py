"""Kubeflow's and Kubernetes' own options of a pipeline and of a step."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from turnout.plugin_api import (
    Config,
    ImagePullPolicy,
    ImagePullSecrets,
    KeyOf,
    MountPath,
    PodOptions,
    ResourceName,
    Variable,
)


class PipelineOptions(Config, frozen=True):
    """Options of a pipeline: ``pipelines: {flights: {kubeflow: {…}}}``."""

    name: Annotated[
        str,
        Meta(description="What the published pipeline and its schedule are called; else PROJECT.PIPELINE[.INSTANCE]."),
    ] = ""
    max_concurrency: Annotated[
        int, Meta(description="How many runs by schedule may go on at once; a run that is due waits.", ge=1, le=10)
    ] = 1


class TaskOptions(PodOptions, frozen=True):
    """Options of a step: ``steps: {"fit*": {kubeflow: {…}}}``; under ``every``, of all containers."""

    config_environment: Annotated[
        dict[Variable, KeyOf], Meta(description="Variables whose values are in ConfigMaps: VARIABLE: CONFIGMAP/KEY.")
    ] = field(default_factory=dict)
    secret_volumes: Annotated[
        dict[MountPath, ResourceName], Meta(description="Secrets as folders with a file a key: PATH: SECRET.")
    ] = field(default_factory=dict)
    image_pull_policy: ImagePullPolicy = ""
    image_pull_secrets: ImagePullSecrets = ()
    parallelism: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="How many elements of a map run at once; all if not given.")
    ] = None


class Accelerator(Config, frozen=True):
    """What a type of accelerator is called in a cluster."""

    resource: Annotated[str, Meta(description="What Kubernetes counts; gpu_resource if empty.")] = ""
    node_selector: Annotated[dict[str, str], Meta(description="Labels of the nodes that have it.")] = field(
        default_factory=dict
    )
