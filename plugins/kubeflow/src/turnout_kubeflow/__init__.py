"""turnout on Kubeflow Pipelines: the orchestrators ``kubeflow`` and ``kubeflow-local``."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrators ``kubeflow`` and ``kubeflow-local``."""
    return (
        Lazy("kubeflow", "turnout_kubeflow.orchestrator:KubeflowOrchestrator"),
        Lazy("kubeflow-local", "turnout_kubeflow.local:KubeflowLocalOrchestrator"),
    )
