"""What a specification says to Kubernetes: the second document, ``platforms.kubernetes``, of kfp-kubernetes' form."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from turnout.plugin_api import (
    Plan,
    StepPlan,
    Toleration,
    UnsupportedError,
    merged,
    options_of,
    secret_keys,
    secret_variables,
)
from turnout_kubeflow.options import Accelerator, TaskOptions
from turnout_kubeflow.settings import Document, KubeflowSettings


def platform(plan: Plan, settings: KubeflowSettings, executors: Mapping[str, str]) -> Document | None:
    """The document, None where nothing is to be said.

    Args:
        executors: the executor of each step by its name; the end of the run is the step without a name.

    Raises:
        ConfigError: for secrets that no container could be given.
        UnsupportedError: for an accelerator that the stack does not know.
    """
    found = {}
    for name, executor in executors.items():
        step = plan.by_name.get(name)
        if config := _config(_options(plan, settings, step)):
            found[executor] = config
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": found}}}} if found else None


def unknown_secrets(plan: Plan, settings: KubeflowSettings) -> tuple[str, ...]:
    """The secrets that a pipeline reads from variables, and of which Kubeflow is told nothing."""
    secrets = {name for step in (None, *plan.steps) for name in secret_variables(plan, step) or ()}
    return tuple(sorted(secrets - set(settings.kubernetes_secrets)))


def accelerator(step: StepPlan, settings: KubeflowSettings) -> Accelerator:
    """What the accelerator that a step asks for is in the stack's cluster.

    Raises:
        UnsupportedError: where the stack does not say.
    """
    wanted = step.resources.accelerator
    if wanted is None:
        return Accelerator(resource=settings.gpu_resource)
    known = settings.accelerators.get(wanted)
    if known is None and "/" in wanted:
        return Accelerator(resource=wanted)
    if known is None:
        raise UnsupportedError(
            f"the step {step.name} asks for an accelerator of type {wanted}, which the stack does not know",
            where=step.where,
            why="Kubernetes knows accelerators by a resource and by the labels of their nodes",
            fix=f"say which in the stack: orchestrator: {{accelerators: {{{wanted}: {{node_selector: {{…}}}}}}}}",
        )
    return msgspec.structs.replace(known, resource=known.resource or settings.gpu_resource)


def _options(plan: Plan, settings: KubeflowSettings, step: StepPlan | None) -> TaskOptions:
    options = settings.every
    if step is not None:
        options = merged(settings.every, options_of(step, TaskOptions))
        if step.resources.accelerator is not None:
            nodes = {**options.node_selector, **accelerator(step, settings).node_selector}
            options = msgspec.structs.replace(options, node_selector=nodes)
    variables = secret_variables(plan, step)
    given = secret_keys(
        plan.worker,
        variables,
        settings.kubernetes_secrets,
        "orchestrator.kubernetes_secrets",
        else_fix="; or mount the Secret where they look: secret_volumes",
    )
    return msgspec.structs.replace(options, secret_environment={**options.secret_environment, **given})


def _config(options: TaskOptions) -> Document:
    """The options as kfp-kubernetes writes them; each name twice, for older back ends and newer ones."""
    selector = {"labels": dict(sorted(options.node_selector.items()))} if options.node_selector else None
    labels, annotations = (dict(sorted(given.items())) for given in (options.labels, options.annotations))
    metadata = {"labels": labels, "annotations": annotations}
    found = {
        "secretAsEnv": _keys(options.secret_environment, "secret"),
        "configMapAsEnv": _keys(options.config_environment, "configMap"),
        "secretAsVolume": [
            {**_named("secret", secret), "mountPath": path, "optional": False}
            for path, secret in sorted(options.secret_volumes.items())
        ],
        "pvcMount": [_mount(path, claim) for path, claim in sorted(options.volumes.items())],
        "nodeSelector": selector,
        "tolerations": [_toleration(one) for one in options.tolerations],
        "imagePullPolicy": options.image_pull_policy,
        "imagePullSecret": [_named("secret", name) for name in options.image_pull_secrets],
        "podMetadata": {kind: given for kind, given in metadata.items() if given},
    }
    return {name: value for name, value in found.items() if value}


def _keys(variables: Mapping[str, str], kind: str) -> list[Document]:
    """Variables from the keys of Secrets or ConfigMaps, by these."""
    pairs = sorted((*source.split("/", 1), variable) for variable, source in variables.items())
    names = dict.fromkeys(name for name, _, _ in pairs)
    return [
        {
            **_named(kind, name),
            "keyToEnv": [{f"{kind}Key": key, "envVar": variable} for other, key, variable in pairs if other == name],
            "optional": False,
        }
        for name in names
    ]


def _named(kind: str, name: str) -> Document:
    return {f"{kind}Name": name, f"{kind}NameParameter": {"runtimeValue": {"constant": name}}}


def _mount(path: str, source: str) -> Document:
    claim, _, folder = source.partition("/")
    found = {"constant": claim, "pvcNameParameter": {"runtimeValue": {"constant": claim}}, "mountPath": path}
    return {**found, "subPath": folder} if folder else found


def _toleration(one: Toleration) -> Document:
    return one.fields if one.seconds is None else {**one.fields, "tolerationSeconds": str(one.seconds)}
