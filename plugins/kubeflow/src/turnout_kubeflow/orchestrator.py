"""The orchestrator ``kubeflow``: a plan becomes a specification that Kubeflow Pipelines takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from turnout.plugin_api import (
    Bundle,
    Capability,
    Orchestrator,
    Plan,
    RunHandle,
    Submission,
    Support,
    UnsupportedError,
)
from turnout_kubeflow.pipeline import Builder
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings

SettingsT = TypeVar("SettingsT", bound=CompileSettings)
ENTRYPOINT = "pipeline.yaml"
CAPABILITIES: dict[Capability, Support] = {
    Capability.RETRIES: "native",
    Capability.BACKOFF: "native",
    Capability.TIMEOUT: "emulated",
    Capability.SCHEDULE: "refused",
    Capability.ASSET_SCHEDULE: "refused",
    Capability.CATCHUP: "refused",
    Capability.MAP: "native",
    Capability.GATE: "native",
    Capability.GROUP: "emulated",
    Capability.CPU: "native",
    Capability.MEMORY: "native",
    Capability.GPU: "native",
    Capability.ACCELERATOR: "refused",
    Capability.REQUIREMENTS: "emulated",
    Capability.SECRETS: "emulated",
    Capability.ENV: "emulated",
    Capability.LOGICAL_TIME: "emulated",
    Capability.INTERVAL: "refused",
    Capability.PARAMS: "native",
    Capability.TAGS: "emulated",
    Capability.DOCS: "native",
    Capability.BY_VALUE: "emulated",
}


class Compiling(Orchestrator[SettingsT]):
    """What both orchestrators do alike."""

    cluster: ClassVar[bool] = True
    """Whether it is compiled for a cluster, or for kfp.local, which knows fewer placeholders."""

    def compile(self, plan: Plan) -> Bundle:
        return Bundle(files={ENTRYPOINT: rendered(plan, self.config, created=self.cluster)}, entrypoint=ENTRYPOINT)


class KubeflowOrchestrator(Compiling[KubeflowSettings]):
    """Kubeflow Pipelines on a cluster. It makes the specification; a person uploads it."""

    name = "kubeflow"
    Config = KubeflowSettings
    capabilities: ClassVar[Mapping[Capability, Support]] = CAPABILITIES

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        raise UnsupportedError(
            "the kubeflow orchestrator starts no runs",
            why="it makes the specification, which Kubeflow's own UI and client take",
            fix="export the pipeline and upload pipeline.yaml, or run it here: --stack kubeflow-local",
        )


def rendered(plan: Plan, settings: CompileSettings, *, created: bool) -> bytes:
    """The specification as YAML, the same bytes for the same plan."""
    import yaml

    document = Builder(plan, settings, created=created).document()
    head = (
        f"# The pipeline {_comment(plan.name)} for Kubeflow Pipelines, made by turnout from the plan {plan.digest}.\n"
    )
    dumper = _dumper(yaml)
    text = yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return (head + text).encode()


def _comment(text: str) -> str:
    return " ".join(text.split())


def _dumper(yaml: Any) -> Any:
    """PyYAML's safe dumper (in C where it is built with it), that repeats a value rather than refer to it."""
    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return type("Dumper", (base,), {"ignore_aliases": lambda *_: True})
