"""The Secrets that an endpoint's pods refer to: seen to be there before it is deployed."""

from __future__ import annotations

from contextlib import suppress

from turnout.plugin_api import DeployError, EndpointPlan
from turnout_kubernetes import pods
from turnout_kubernetes.cluster import Cluster, Refused
from turnout_kubernetes.settings import KubernetesSettings, ServingOptions


def check_secrets(
    endpoint: EndpointPlan, config: KubernetesSettings, options: ServingOptions, cluster: Cluster
) -> None:
    """See that the Secrets that pods refer to are there, as far as this account may look.

    Raises:
        DeployError: when one, or a key of it, is not.
    """
    for secret, keys in sorted(pods.secrets_needed(endpoint, config, options).items()):
        with suppress(Refused):
            there = cluster.keys(secret)
            missing = sorted(keys - (there or frozenset()))
            if there is None or missing:
                what = f"key {missing[0]!r} in the Secret {secret!r}" if there is not None else f"Secret {secret!r}"
                raise DeployError(
                    f"there is no {what} in the namespace {config.namespace}, which the endpoint {endpoint.name} needs",
                    where=endpoint.where,
                    why="its pods would not start",
                    fix="create it: kubectl create secret generic; or name another in deployer.kubernetes_secrets",
                )
