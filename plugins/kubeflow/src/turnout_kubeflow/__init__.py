"""turnout on Kubeflow Pipelines: the orchestrators ``kubeflow`` and ``kubeflow-local``."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[type[Any], ...]:
    from turnout_kubeflow.local import KubeflowLocalOrchestrator
    from turnout_kubeflow.orchestrator import KubeflowOrchestrator

    return (KubeflowOrchestrator, KubeflowLocalOrchestrator)
