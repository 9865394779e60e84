"""The pods of an endpoint: a container that serves it, what it finds, and how Kubernetes sees that it answers."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from turnout.plugin_api import (
    ConfigError,
    DeployError,
    EndpointPlan,
    Toleration,
    endpoint_secrets,
    merged,
    secret_keys,
)
from turnout_kubernetes.settings import KubernetesSettings, ServingOptions
from turnout_kubernetes.versions import PLAN

Document = dict[str, Any]
ENDPOINT = "TURNOUT_ENDPOINT"
"""The variable with the path of the endpoint's plan, a file that is mounted from a ConfigMap."""
STEP = "TURNOUT_ENDPOINT_STEP"
"""The variable that names the one step which a node of a split graph answers; absent where a pod answers all."""
STORE = "TURNOUT_STORE"
"""The variable that says where the store is."""
FOLDER = "/etc/turnout/endpoint"
"""The folder of the plan in a pod."""
PORT = 8080
"""The port that the endpoint answers at, in its pod."""
CONTAINER = "turnout"
_PERIOD = 5
_GRACE = 30
OptionsT = TypeVar("OptionsT", bound=ServingOptions)


def options_for(endpoint: EndpointPlan, settings: KubernetesSettings, deployer: str, kind: type[OptionsT]) -> OptionsT:
    """The options of an endpoint's pods: the stack's for all, the definition's, the stack's for this one.

    Args:
        kind: the deployer's own class of options.

    Raises:
        ConfigError: for options in the definition that there are not.
        DeployError: where there is no image.
    """
    try:
        own = msgspec.convert(endpoint.options.get(deployer, {}), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the options for {deployer} of the endpoint {endpoint.name} are wrong: {error}",
            where=endpoint.where,
            fix=f"they are: {', '.join(kind.__struct_fields__)}",
        ) from None
    special = settings.endpoints.get(endpoint.name, ServingOptions())
    every, one = (msgspec.convert(msgspec.to_builtins(given), kind) for given in (settings.every, special))
    found = merged(merged(every, own), one)
    if not found.image:
        raise DeployError(
            f"the endpoint {endpoint.name} has no image",
            where=endpoint.where,
            why="a pod is started from one that has turnout[serve] and the packages of the run",
            fix=f"build one: turnout image build ENDPOINT --push; then name it: deployer: "
            f"{{endpoints: {{{endpoint.name}: {{image: …}}}}}}",
        )
    if found.image.split() != [found.image]:
        raise ConfigError(f"{found.image!r} is not the name of an image", fix="write REGISTRY/NAME:TAG")
    if found.autoscaling is not None:
        scaling = found.autoscaling
        if scaling.minimum > scaling.maximum:
            raise ConfigError(
                f"the endpoint {endpoint.name} scales from {scaling.minimum} to {scaling.maximum} pods",
                fix="set a maximum that is at least the minimum",
            )
        if "cpu" not in found.requests:
            raise ConfigError(
                f"the endpoint {endpoint.name} scales by its processors, and its pods request none",
                why="the load is measured in percent of what a pod requests",
                fix='say how much: requests: {cpu: "1"}',
            )
    return found


def container(
    endpoint: EndpointPlan, settings: KubernetesSettings, options: ServingOptions, *, step: str = ""
) -> Document:
    """The container that serves an endpoint.

    Args:
        step: the one step that it answers, as a node of a graph; all, if empty.

    Raises:
        ConfigError, DeployError: for secrets or a store that it could not be given.
    """
    workers = [] if options.workers is None else ["--workers", str(options.workers)]
    errors = [] if settings.errors == "named" else ["--errors", settings.errors]
    resources = {
        name: dict(sorted(given.items()))
        for name, given in (("requests", options.requests), ("limits", options.limits))
        if given
    }
    mounts = [{"name": "endpoint", "mountPath": FOLDER, "readOnly": True}]
    for n, (path, claim) in enumerate(sorted(options.volumes.items())):
        folder = claim.partition("/")[2]
        mounts.append({"name": f"volume-{n}", "mountPath": path, **({"subPath": folder} if folder else {})})
    return {
        "name": CONTAINER,
        "image": options.image,
        **({"imagePullPolicy": options.image_pull_policy} if options.image_pull_policy else {}),
        "command": ["python", "-m", "turnout.serving", "container"],
        **({"args": [*workers, *errors]} if workers or errors else {}),
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "env": [*_environment(endpoint, settings, step), *_secrets(endpoint, settings, options)],
        **({"resources": resources} if resources else {}),
        "volumeMounts": mounts,
        **probes(settings),
        # Those that are still asking get their answers while the pod is taken from the gateway's list.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        "securityContext": security(),
    }


def probes(settings: KubernetesSettings) -> Document:
    """How Kubernetes sees that it has started, answers, and lives."""

    def asked(path: str, failures: int) -> Document:
        get = {"path": path, "port": PORT}
        return {"httpGet": get, "periodSeconds": _PERIOD, "timeoutSeconds": 3, "failureThreshold": failures}

    return {
        "startupProbe": asked("/health/ready", -(-settings.starting // _PERIOD)),
        "readinessProbe": asked("/health/ready", 2),
        "livenessProbe": asked("/health/live", 6),
    }


def security() -> Document:
    """What a container may not do."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod(options: ServingOptions, revision: str) -> Document:
    """What a pod has beside its containers.

    Args:
        revision: the ConfigMap with the endpoint's plan.
    """
    volumes: list[Document] = [
        {"name": "endpoint", "configMap": {"name": revision, "items": [{"key": PLAN, "path": PLAN}]}}
    ]
    for n, (_, claim) in enumerate(sorted(options.volumes.items())):
        volumes.append({"name": f"volume-{n}", "persistentVolumeClaim": {"claimName": claim.partition("/")[0]}})
    found = {
        "serviceAccountName": options.service_account,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
        "nodeSelector": dict(sorted(options.node_selector.items())),
        "tolerations": [_toleration(one) for one in options.tolerations],
        "terminationGracePeriodSeconds": _GRACE,
        "volumes": volumes,
    }
    return {name: value for name, value in found.items() if value}


def revision(document: Document) -> str:
    """The revision that a pod of the cluster serves: the ConfigMap that it has its plan from; empty for another's."""
    volumes = document.get("spec", {}).get("volumes", [])
    return next((one["configMap"]["name"] for one in volumes if one["name"] == "endpoint" and "configMap" in one), "")


def secrets_needed(
    endpoint: EndpointPlan, settings: KubernetesSettings, options: ServingOptions
) -> dict[str, set[str]]:
    """The Secrets that pods refer to, and the keys of each that they read."""
    found: dict[str, set[str]] = {name: set() for name in options.image_pull_secrets}
    for reference in _references(endpoint, settings, options).values():
        name, _, key = reference.partition("/")
        found.setdefault(name, set()).add(key)
    return found


def _environment(endpoint: EndpointPlan, settings: KubernetesSettings, step: str) -> list[Document]:
    given = dict(sorted(settings.environment.items()))
    if settings.artifacts == "image":
        given.pop(STORE, None)  # the image says it
    elif not given.get(STORE):
        raise DeployError(
            f"the pods of the endpoint {endpoint.name} would not know where the store is",
            where=endpoint.where,
            why="they take its code and artifacts from there",
            fix=f"say it in the stack, deployer: {{environment: {{{STORE}: s3://…}}}}; or put them into the image, "
            "artifacts: image",
        )
    own = {ENDPOINT: f"{FOLDER}/{PLAN}", **({STEP: step} if step else {})}
    return [{"name": name, "value": value} for name, value in {**own, **given}.items()]


def _secrets(endpoint: EndpointPlan, settings: KubernetesSettings, options: ServingOptions) -> list[Document]:
    found = []
    for variable, reference in sorted(_references(endpoint, settings, options).items()):
        name, _, key = reference.partition("/")
        found.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}})
    return found


def _references(endpoint: EndpointPlan, settings: KubernetesSettings, options: ServingOptions) -> dict[str, str]:
    """The variables of a pod that are keys of Secrets: each as ``SECRET/KEY``."""
    variables = endpoint_secrets(endpoint)
    own, keys = options.secret_environment, settings.kubernetes_secrets
    missing = [name for name, variable in (variables or {}).items() if name not in keys and variable not in own]
    if missing:
        raise DeployError(
            f"the endpoint {endpoint.name} reads the secret {missing[0]!r}, and the stack does not say which it is",
            where=endpoint.where,
            why="pods get secrets from Secrets of Kubernetes, by reference",
            fix=f"name it in the stack, deployer: {{kubernetes_secrets: {{{missing[0]}: SECRET/KEY}}}}",
        )
    return {**secret_keys(endpoint.worker, variables, keys, "deployer.kubernetes_secrets"), **own}


def _toleration(one: Toleration) -> Document:
    return one.fields if one.seconds is None else {**one.fields, "tolerationSeconds": one.seconds}
