"""The orchestrator ``kubeflow``: a plan becomes a specification that Kubeflow Pipelines takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from turnout.plugin_api import (
    Bundle,
    Capability,
    Orchestrator,
    Plan,
    RunHandle,
    RunStatus,
    Submission,
    Support,
)
from turnout_kubeflow import inputs
from turnout_kubeflow.pipeline import Builder
from turnout_kubeflow.remote import KubeflowRun, Server
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings

SettingsT = TypeVar("SettingsT", bound=CompileSettings)
ENTRYPOINT = "pipeline.yaml"
STORE_NOTE = "steps find the store by TURNOUT_STORE: give it in orchestrator.environment, or with their image"
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
        told = not self.cluster or "TURNOUT_STORE" in self.config.environment
        return Bundle(
            files={ENTRYPOINT: rendered(plan, self.config, timed=self.cluster)},
            entrypoint=ENTRYPOINT,
            notes=() if told else (STORE_NOTE,),
        )


class KubeflowOrchestrator(Compiling[KubeflowSettings]):
    """Kubeflow Pipelines on a cluster."""

    name = "kubeflow"
    Config = KubeflowSettings
    capabilities: ClassVar[Mapping[Capability, Support]] = CAPABILITIES

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        """Start a run on the server.

        Raises:
            ConfigError: where the stack names no server.
            PluginError: where kfp is not installed.
            RunError: where the server refuses or cannot be reached.
        """
        server = Server(self.config)
        options = {key: value for key, value in msgspec.to_builtins(submission.options).items() if key != "uuid"}
        arguments = inputs.arguments(plan, submission.params, {"options": options})
        engine_run = server.start(bundle.files[ENTRYPOINT], arguments, f"{plan.name} {submission.options.at}")
        return KubeflowRun(plan, engine_run, server, store, self.config.poll, self.watch)

    def publish(self, plan: Plan, bundle: Bundle, store: Any) -> str:
        """Upload the pipeline, or a new version of it; starts nothing and schedules nothing."""
        return Server(self.config).publish(plan, bundle.files[ENTRYPOINT])

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        return RunStatus(state=Server(self.config).state(engine_run))

    def cancel(self, plan: Plan, engine_run: str) -> None:
        Server(self.config).stop(engine_run)


def rendered(plan: Plan, settings: CompileSettings, *, timed: bool) -> bytes:
    """The specification as YAML, the same bytes for the same plan."""
    import yaml

    document = Builder(plan, settings, timed=timed).document()
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
