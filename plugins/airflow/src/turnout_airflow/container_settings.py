"""What a stack says of containers and pods: ``docker`` and ``kubernetes`` of the orchestrator and of steps."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from turnout.plugin_api import Config, PodOptions

IMAGE = r"^([A-Za-z0-9][A-Za-z0-9._:/@-]*)?$(?!\n)"
"""What the name of an image looks like; nothing in it means anything to a shell or to Jinja."""
Count = Annotated[int, Meta(ge=1)]


class DockerOptions(Config, frozen=True, omit_defaults=True):
    """What may be different from step to step."""

    network: Annotated[str, Meta(description="The network: `host`, `none`, or the name of one.")] = ""
    mounts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^:]+:/[^:]*(:ro)?$(?!\n)")], ...],
        Meta(description="SOURCE:TARGET or SOURCE:TARGET:ro; a source that begins with / is a folder, else a volume."),
    ] = ()
    user: Annotated[str, Meta(description="The user that it runs as; empty for the image's.")] = ""
    shm_size: Annotated[Count | None, Meta(description="The size of its /dev/shm in bytes.")] = None


class DockerSettings(DockerOptions, frozen=True, omit_defaults=True):
    """Docker, or what speaks its API, as Airflow's workers reach it."""

    url: Annotated[str, Meta(description="Where it answers; empty for the workers' DOCKER_HOST, or its socket.")] = ""
    connection: Annotated[str, Meta(description="The Airflow connection to sign in to a registry with.")] = ""
    force_pull: Annotated[bool, Meta(description="Whether each task pulls its image again.")] = False
    mount_bundle: Annotated[
        bool,
        Meta(
            description="Whether containers see the folder of the DAG file, for plan, code and store: where Docker has "
            "the workers' disk. Without, plan and code are in the store, where `turnout publish` puts them."
        ),
    ] = False


class KubernetesOptions(PodOptions, frozen=True, omit_defaults=True):
    """What may be different from step to step; mappings are merged, lists are added."""

    service_account: Annotated[str, Meta(description="The account that pods run as.")] = ""
    priority_class: Annotated[str, Meta(description="The name of the pods' priority class.")] = ""


class KubernetesSettings(KubernetesOptions, frozen=True, omit_defaults=True):
    """The cluster, as Airflow's workers reach it, and what all pods have in common."""

    namespace: Annotated[str, Meta(description="The namespace; empty for the connection's.")] = ""
    connection: Annotated[str, Meta(description="The Airflow connection; empty for kubernetes_default.")] = ""
    image_pull_policy: Annotated[
        Literal["", "Always", "IfNotPresent", "Never"], Meta(description="When images are pulled.")
    ] = ""
    image_pull_secrets: Annotated[tuple[str, ...], Meta(description="Secrets to sign in to registries with.")] = ()
    startup_timeout: Annotated[int, Meta(description="How many seconds a pod may take to start.", gt=0)] = 120
    gpu_resource: Annotated[str, Meta(description="What the cluster calls GPUs.")] = "nvidia.com/gpu"
    accelerator_label: Annotated[
        str,
        Meta(
            description="The label of nodes that says which accelerator they have, such as "
            "cloud.google.com/gke-accelerator; without it, steps that ask for a type are refused."
        ),
    ] = ""
