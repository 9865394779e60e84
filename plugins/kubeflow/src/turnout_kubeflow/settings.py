"""The settings of the orchestrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from turnout.plugin_api import Config, ExistingLocalPath, KeyOf, LocalPath, Secret, Url
from turnout_kubeflow.options import Accelerator, TaskOptions

Document = dict[str, Any]
"""A part of a specification."""


class CompileSettings(Config, frozen=True):
    """What both orchestrators have in common: how steps are started."""

    instance: Annotated[str, Meta(description="Part of every run id.")] = "default"
    launch: Annotated[
        Literal["lightweight", "image"],
        Meta(
            description="How steps start: in any image with Python (lightweight), or in one that has turnout (image)."
        ),
    ] = "lightweight"
    image: Annotated[str, Meta(description="The container image of steps that name none of their own.")] = "python:3.11"
    install: Annotated[
        tuple[str, ...],
        Meta(description="What a lightweight step installs by pip before it starts; empty where all is there."),
    ] = ()
    environment: Annotated[
        dict[str, str], Meta(description="Variables of every step's container, in clear: TURNOUT_STORE, for one.")
    ] = field(default_factory=dict)
    gpu_resource: Annotated[str, Meta(description="What Kubernetes calls the GPUs.")] = "nvidia.com/gpu"


class KubeflowSettings(CompileSettings, frozen=True):
    """Settings of the orchestrator ``kubeflow``."""

    url: Annotated[Url, Meta(description="The address of Kubeflow Pipelines; needed to start runs.")] = ""
    namespace: Annotated[str, Meta(description="The namespace, where there are several users.")] = "kubeflow"
    experiment: Annotated[str, Meta(description="The experiment that runs belong to; made if absent.")] = "turnout"
    token: Annotated[Secret, Meta(description="A bearer token.")] = ""
    token_file: Annotated[
        ExistingLocalPath,
        Meta(description="A file with a bearer token that is kept fresh, as Kubernetes does for service accounts."),
    ] = ""
    cookie: Annotated[
        Secret, Meta(description="A session's cookie (NAME=VALUE), where a page to sign in at is before the API.")
    ] = ""
    ca: Annotated[
        ExistingLocalPath, Meta(description="A file of certificates to trust, where the system's are not enough.")
    ] = ""
    timezone: Annotated[
        str, Meta(description="The zone by which the back end reads schedules (its CRON_SCHEDULE_TIMEZONE).")
    ] = "UTC"
    kubernetes_secrets: Annotated[
        dict[str, KeyOf],
        Meta(
            description="Secrets by the names that pipelines and stacks give them, as SECRET/KEY of Kubernetes; "
            "containers that use one get it as a variable, where the secret store `env` finds it."
        ),
    ] = field(default_factory=dict)
    every: Annotated[TaskOptions, Meta(description="Options of the containers of all steps, and of the run's end.")] = (
        TaskOptions()
    )
    accelerators: Annotated[
        dict[str, Accelerator], Meta(description="What types of accelerators are in this cluster.")
    ] = field(default_factory=dict)
    service_account: Annotated[str, Meta(description="Kubernetes' account that the steps run as.")] = ""
    poll: Annotated[float, Meta(description="Seconds between two looks at a run.", gt=0)] = 5.0


class KubeflowLocalSettings(CompileSettings, frozen=True):
    """Settings of the orchestrator ``kubeflow-local``."""

    folder: Annotated[LocalPath, Meta(description="Where kfp.local keeps its files, and the steps' logs lie.")] = (
        ".turnout/kubeflow"
    )
    folders: Annotated[
        tuple[str, ...], Meta(description="Folders that containers see at the same paths as here, beside the store's.")
    ] = ()
    variables: Annotated[
        tuple[str, ...],
        Meta(description="Variables of this machine that containers get, by name, beside those that steps ask for."),
    ] = ()
    network: Annotated[
        str | None, Meta(description="The network of containers: host, or one that docker or podman knows.")
    ] = None
