"""The orchestrator ``kubeflow``: a plan becomes a specification that Kubeflow Pipelines takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from turnout.plugin_api import (
    BY_RUNTIME,
    ArtifactError,
    ArtifactStore,
    Bundle,
    Capability,
    Orchestrator,
    Plan,
    RunHandle,
    RunStatus,
    Submission,
    Support,
    started,
)
from turnout_kubeflow import inputs
from turnout_kubeflow.options import PipelineOptions, TaskOptions
from turnout_kubeflow.pipeline import tasks_of
from turnout_kubeflow.platform import unknown_secrets
from turnout_kubeflow.publishing import Publication, published_name
from turnout_kubeflow.remote import RUNS, Server, page
from turnout_kubeflow.run import KubeflowRun
from turnout_kubeflow.schedules import recurrence
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings
from turnout_kubeflow.text import rendered

SettingsT = TypeVar("SettingsT", bound=CompileSettings)
ENTRYPOINT = "pipeline.yaml"
STORE_NOTE = "steps find the store by TURNOUT_STORE: give it in orchestrator.environment, or with their image"
SCHEDULE_NOTE = "the schedule is no part of the file: `turnout publish` makes a recurring run of it"
SECRETS_NOTE = "secrets that orchestrator.kubernetes_secrets does not have must be in the containers as variables"
CAPABILITIES: dict[Capability, Support] = {
    **BY_RUNTIME,
    Capability.RETRIES: "native",
    Capability.BACKOFF: "native",
    Capability.TIMEOUT: "emulated",
    Capability.MAP: "native",
    Capability.GATE: "native",
    Capability.CPU: "native",
    Capability.MEMORY: "native",
    Capability.GPU: "native",
    Capability.PARAMS: "native",
    Capability.DOCS: "native",
}


class Compiling(Orchestrator[SettingsT]):
    """What both orchestrators do alike."""

    launcher: ClassVar[bool] = True
    exported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("instance", "launch", "image", "install", "gpu_resource", "every", "accelerators", "kubernetes_secrets"),
            "write the value, or ${env:NAME}, which is resolved while planning",
        ),
        "environment": "let the steps have it: @step(secrets=…) or @step(env=…); or take it from a Secret: "
        "every: {secret_environment: {VARIABLE: SECRET/KEY}}",
    }

    def compile(self, plan: Plan) -> Bundle:
        notes = []
        if not self.local and "TURNOUT_STORE" not in self.config.environment:
            notes.append(STORE_NOTE)
        if not self.local and plan.schedule is not None:
            notes.append(SCHEDULE_NOTE)
            if plan.schedule.missed:
                notes.append(plan.schedule.missed)
        if isinstance(self.config, KubeflowSettings) and (unknown := unknown_secrets(plan, self.config)):
            notes.append(f"{SECRETS_NOTE}: {', '.join(unknown)}")
        return Bundle(
            files={ENTRYPOINT: rendered(plan, self.config, timed=not self.local)},
            entrypoint=ENTRYPOINT,
            notes=tuple(notes),
        )


class KubeflowOrchestrator(Compiling[KubeflowSettings]):
    """Kubeflow Pipelines on a cluster."""

    name = "kubeflow"
    Config = KubeflowSettings
    options = TaskOptions
    pipeline_options = PipelineOptions
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        **CAPABILITIES,
        Capability.SCHEDULE: "native",
        Capability.CATCHUP: "native",
        Capability.ACCELERATOR: "native",
        Capability.SECRETS: "native",
    }

    remarks: ClassVar[Mapping[Capability, str]] = {
        Capability.RETRIES: "delays are rounded up to whole seconds; a failure for good is tried again as well",
    }

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: ArtifactStore[Any]) -> RunHandle:
        """Start a run on the server.

        Raises:
            ConfigError: where the stack names no server.
            ConfigError: where the server refuses or cannot be reached.
            RunError: where it fails.
        """
        server = Server(self.config)
        options = {key: value for key, value in msgspec.to_builtins(submission.options).items() if key != "uuid"}
        more = {"options": options, "page": page(self.config, RUNS)}
        arguments = inputs.arguments(plan, submission.params, more)

        def start() -> RunHandle:
            engine_run = server.start(bundle.files[ENTRYPOINT], arguments, f"{plan.name} {submission.options.at}")
            return KubeflowRun(plan, engine_run, server, self.config, store, self.watch)

        return started(start)

    def publish(self, plan: Plan, bundle: Bundle, store: ArtifactStore[Any]) -> str:
        """Upload the pipeline, or a new version of it, and let its schedule start runs of that; start none now.

        Raises:
            UnsupportedError: for a schedule that Kubeflow cannot keep.
            PlanError: for a parameter that a run by schedule would be without.
        """
        server, when = Server(self.config), recurrence(plan, self.config.timezone)
        arguments = {} if when is None else inputs.arguments(plan, {}, {"page": page(self.config, RUNS)})
        return Publication(server, self.config, plan).place(bundle.files[ENTRYPOINT], when, arguments)

    def published_as(self, plan: Plan) -> str:
        """The pipeline's name on the server."""
        return published_name(plan)

    def unpublish(self, plan: Plan) -> str:
        """Delete the pipeline's schedule, its versions that were published, and itself if nothing is left of it."""
        return Publication(Server(self.config), self.config, plan).remove()

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        steps = {task: step for step, task in tasks_of(plan, self.config).items()}
        return Server(self.config).status(engine_run, steps)

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """Kubeflow's API gives out no logs; says where they are.

        Raises:
            ArtifactError: always.
        """
        settings = self.config
        raise ArtifactError(
            f"Kubeflow Pipelines does not give out the log of {step}",
            why="its API has no logs; they are in Kubeflow's UI, and in the pods while there are any",
            fix=f"see {page(settings, RUNS)}{engine_run}, or run: "
            f"kubectl logs --namespace {settings.namespace} --selector pipeline/runid={engine_run} --all-containers",
        )

    def cancel(self, plan: Plan, engine_run: str) -> None:
        Server(self.config).stop(engine_run)
