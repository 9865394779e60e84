"""What a stack says of endpoints on Kubernetes: the cluster, the pods, and how many of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from turnout.plugin_api import (
    Config,
    ImagePullPolicy,
    ImagePullSecrets,
    KeyOf,
    LocalPath,
    PodOptions,
    ResourceName,
    Url,
    Variable,
)

Quantity = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][0-9]+)?$(?!\n)")]
"""An amount as Kubernetes writes it: ``500m``, ``2``, ``4Gi``."""
Amounts = dict[Annotated[str, Meta(pattern=r"^([a-z0-9.-]+/)?[a-z0-9.-]+$(?!\n)")], Quantity]


class Autoscaling(Config, frozen=True):
    """Between how many pods, and by which load of their processors."""

    minimum: Annotated[int, Meta(description="The fewest pods.", ge=1)] = 1
    maximum: Annotated[int, Meta(description="The most pods.", ge=1)] = 3
    cpu: Annotated[int, Meta(description="The load that is aimed at, in percent of what pods request.", ge=1)] = 80


class ServingOptions(PodOptions, frozen=True):
    """Of the pods of a version: under ``every`` of all endpoints, under ``endpoints`` of some, or in the definition."""

    image: Annotated[str, Meta(description="The image: it has turnout[serve] and the run's packages.")] = ""
    replicas: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="How many pods; one where nothing is said.")
    ] = None
    autoscaling: Annotated[Autoscaling | None, Meta(description="In place of a fixed number of pods.")] = None
    requests: Annotated[Amounts, Meta(description='What a pod is given at least: {cpu: "1", memory: 1Gi}.')] = field(
        default_factory=dict
    )
    limits: Annotated[Amounts, Meta(description="What a pod is given at most.")] = field(default_factory=dict)
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(description="How many processes of a pod answer; one if not given."),
    ] = None
    service_account: Annotated[str, Meta(description="Kubernetes' account that the pods run as.")] = ""
    image_pull_policy: ImagePullPolicy = ""
    image_pull_secrets: ImagePullSecrets = ()


class Monitoring(Config, frozen=True):
    """Objects of the Prometheus operator: a ServiceMonitor with the services that it looks at, and a PrometheusRule."""

    labels: Annotated[
        dict[str, str],
        Meta(description="Labels by which the Prometheus of the cluster finds them: {release: prometheus}."),
    ] = field(default_factory=dict)
    interval: Annotated[str, Meta(description="How often it is asked.", pattern=r"^[0-9]+(ms|s|m)$(?!\n)")] = "30s"
    rules: Annotated[
        bool,
        Meta(description="Write recording rules and alerts, too: one PrometheusRule for all endpoints of a namespace."),
    ] = True


class KubernetesSettings(Config, frozen=True):
    """What the settings of all deployers on Kubernetes have in common."""

    namespace: Annotated[ResourceName, Meta(description="The namespace of the endpoints.")] = "default"
    context: Annotated[str, Meta(description="The context of the kubeconfig; else its current one.")] = ""
    kubeconfig: Annotated[
        LocalPath, Meta(description="The kubeconfig file; else KUBECONFIG, ~/.kube/config, or a pod's own account.")
    ] = ""
    gateway: Annotated[
        Url,
        Meta(description="Where the cluster's gateway answers: http://HOST[:PORT]; `endpoints` and predict() ask it."),
    ] = ""
    artifacts: Annotated[
        Literal["store", "image"],
        Meta(
            description="Where pods find code and artifacts: in the store that TURNOUT_STORE names, or in their image."
        ),
    ] = "store"
    environment: Annotated[
        dict[Variable, str], Meta(description="Variables of the pods, in clear: TURNOUT_STORE, for one.")
    ] = field(default_factory=dict)
    kubernetes_secrets: Annotated[
        dict[str, KeyOf],
        Meta(
            description="Secrets by the names that endpoints and stacks give them, as SECRET/KEY of Kubernetes; "
            "pods get them as variables, where the secret store `env` finds them."
        ),
    ] = field(default_factory=dict)
    every: Annotated[ServingOptions, Meta(description="Options of the pods of all endpoints.")] = ServingOptions()
    endpoints: Annotated[
        dict[str, ServingOptions], Meta(description="Options of single endpoints, by their names.")
    ] = field(default_factory=dict)
    monitoring: Annotated[
        Monitoring | None,
        Meta(description="Write a ServiceMonitor and rules, too; the cluster has the Prometheus operator."),
    ] = None
    errors: Annotated[Literal["named", "generic"], Meta(description="What clients are told of errors.")] = "named"
    starting: Annotated[int, Meta(description="Seconds that a pod has to load its endpoint.", ge=5)] = 300
    patience: Annotated[float, Meta(description="Seconds that `turnout deploy` waits until all is ready.", gt=0)] = (
        600.0
    )
    poll: Annotated[float, Meta(description="Seconds between two looks at it.", gt=0)] = 2.0
    force: Annotated[
        bool, Meta(description="Take over fields that someone else has set (kubectl edit, another tool).")
    ] = False
