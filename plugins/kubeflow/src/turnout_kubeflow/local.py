"""The orchestrator ``kubeflow-local``: the same specification, run on this machine by kfp.local."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout.plugin_api import (
    ENGINE_RUN,
    LOGS,
    ArtifactStore,
    Capability,
    DriverOrchestrator,
    Plan,
    PluginError,
    Submission,
    Support,
    secret_variables,
)
from turnout_kubeflow import containers, inputs
from turnout_kubeflow.orchestrator import CAPABILITIES, Compiling
from turnout_kubeflow.settings import KubeflowLocalSettings


class KubeflowLocalOrchestrator(Compiling[KubeflowLocalSettings], DriverOrchestrator[KubeflowLocalSettings]):
    """kfp.local: no cluster, and no container unless steps are started by their images."""

    name = "kubeflow-local"
    local = True
    needed_extra = "kfp"
    Config = KubeflowLocalSettings
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        **CAPABILITIES,
        Capability.CPU: "emulated",
        Capability.MEMORY: "refused",
        Capability.GPU: "refused",
    }

    def command(self, plan: Plan, folder: Path) -> Sequence[str]:
        return [sys.executable, "-m", "turnout_kubeflow.driver", str(folder)]

    def prepare(
        self, plan: Plan, engine_run: str, submission: Submission, store: ArtifactStore[Any]
    ) -> Mapping[str, bytes]:
        """What kfp.local is told.

        Raises:
            PluginError: where kfp, or what containers take, is not installed.
            RunError: where steps start in containers, and nothing answers that could start them.
        """
        if find_spec("kfp") is None:
            raise PluginError("kfp is not installed", fix='pip install "turnout-kubeflow[kfp]"')
        if self.config.launch == "image":
            containers.check([self.config.image, *(step.image for step in plan.steps if step.image)])
        more = {"options": msgspec.to_builtins(submission.options)}
        document = {
            "arguments": inputs.arguments(plan, submission.params, more),
            "containers": self._containers(plan, store),
        }
        return {"arguments.json": json.dumps(document).encode()}

    def _containers(self, plan: Plan, store: ArtifactStore[Any]) -> dict[str, Any] | None:
        """What containers are given: variables of the driver's by their names, folders of this machine, the network."""
        if self.config.launch != "image":
            return None
        shared = [] if "://" in store.address else [store.address]
        folders = [*shared, *(str(Path(folder).absolute()) for folder in self.config.folders)]
        wanted = {*self.config.variables, *(name for step in plan.steps for name in step.env)}
        wanted.update(*((secret_variables(plan, step) or {}).values() for step in plan.steps))
        names = {*store.environment(), ENGINE_RUN, LOGS, *(name for name in wanted if name in os.environ)}
        return {"environment": sorted(names), "folders": folders, "network": self.config.network}
