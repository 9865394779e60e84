"""The orchestrator ``airflow``: compiles DAG files, places them, and starts and follows runs over the REST API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from turnout.plugin_api import (
    ArtifactStore,
    Bundle,
    Capability,
    ConfigError,
    EngineFolder,
    Orchestrator,
    Plan,
    RunError,
    RunHandle,
    RunInfo,
    RunStatus,
    Submission,
    Support,
    committed,
    engine_folder,
    pretty,
    started,
)
from turnout_airflow.dag import OPTIONS, DagFile, dag_id
from turnout_airflow.params import packable, sent
from turnout_airflow.refusals import check
from turnout_airflow.run import AirflowRun, DagRun
from turnout_airflow.settings import AirflowSettings, DagOptions, TaskOptions

if TYPE_CHECKING:
    from turnout_airflow.api import Api

SUBMITTED = "turnout__"
"""How the ids of runs begin that turnout has submitted; they are of the DAG for such runs."""


class AirflowOrchestrator(Orchestrator[AirflowSettings]):
    """Pipelines as DAGs of an Airflow of version 3.0 or newer."""

    name = "airflow"
    Config = AirflowSettings
    options = TaskOptions
    pipeline_options = DagOptions
    max_fan_out: ClassVar[int | None] = 1024
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        Capability.RETRIES: "native",
        Capability.BACKOFF: "native",
        Capability.TIMEOUT: "native",
        Capability.SCHEDULE: "native",
        Capability.ASSET_SCHEDULE: "native",
        Capability.CATCHUP: "native",
        Capability.MAP: "native",
        Capability.GATE: "native",
        Capability.GROUP: "native",
        Capability.CPU: "emulated",
        Capability.MEMORY: "refused",
        Capability.GPU: "refused",
        Capability.ACCELERATOR: "refused",
        Capability.REQUIREMENTS: "emulated",
        Capability.SECRETS: "emulated",
        Capability.ENV: "emulated",
        Capability.LOGICAL_TIME: "native",
        Capability.INTERVAL: "native",
        Capability.PARAMS: "native",
        Capability.TAGS: "native",
        Capability.DOCS: "native",
        Capability.BY_VALUE: "emulated",
    }

    exported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("instance", "launch", "python", "image", "variables", "max_map_length", "docker", "kubernetes"),
            "write the value, or ${env:NAME}, which is resolved while planning",
        ),
        "environment": "let the steps have it: @step(secrets=…) or @step(env=…); or, with `launch: kubernetes`, take "
        "it from a Secret: kubernetes: {secret_environment: {VARIABLE: SECRET/KEY}}",
    }
    remarks: ClassVar[Mapping[Capability, str]] = {
        Capability.RETRIES: "a step that says nothing has the site's own default, [core] default_task_retries",
        Capability.BACKOFF: "Airflow adds jitter: a growing delay is up to twice as long as asked for, and no longer "
        "than the site's [core] max_task_retry_delay, a day by default",
    }

    @property
    def supports(self) -> Mapping[Capability, Support]:
        """What containers and pods can promise beyond processes."""
        if self.config.launch == "python":
            return self.capabilities
        native = [Capability.CPU, Capability.MEMORY, Capability.GPU]
        if self.config.launch == "kubernetes" and self.config.kubernetes.accelerator_label:
            native.append(Capability.ACCELERATOR)
        return {**self.capabilities, **dict.fromkeys(native, "native")}

    @property
    def fan_out(self) -> int:
        """Airflow's own limit, as the stack gives it."""
        return self.config.max_map_length

    def compile(self, plan: Plan) -> Bundle:
        """The DAG file.

        Raises:
            ConfigError: for a step without an image, where it is to run in a container.
            PlanError: for a schedule that could never start a run, or a name too long for Airflow.
        """
        check(plan)
        file, name = DagFile(plan, self.config), _name(plan)
        notes = []
        if plan.schedule is not None and not plan.schedule.assets:
            notes.append(plan.schedule.missed or f"the schedule has no start: {_first_run(plan)}")
        seen = self.config.launch == "docker" and self.config.docker.mount_bundle
        if self.config.launch != "python" and not seen:
            notes.append("containers take plan and code from the store, where `publish` and `export --upload` put them")
        return Bundle(files={name: file.source.encode()}, entrypoint=name, notes=tuple(notes))

    # placing DAGs

    def publish(self, plan: Plan, bundle: Bundle, store: ArtifactStore[Any]) -> str:
        """Place the DAG file, and, where the stack says the API's URL, wait until it is parsed and activate it."""
        api = self._api() if self.config.url else None
        return self._place(DagFile(plan, self.config), bundle.files, store, api)

    def published_as(self, plan: Plan) -> str:
        """The DAG's id."""
        return dag_id(plan)

    def unpublish(self, plan: Plan) -> str:
        """Remove the DAG file, and that of the DAG for submitted runs; Airflow then forgets the schedule."""
        if self.config.url:
            with contextlib.suppress(RunError):
                self._api().call("PATCH", f"/dags/{dag_id(plan)}", {"is_paused": True})
        files = (_name(plan), "environment.json")
        self._folder().remove(dag_id(plan, manual=True), files)
        return self._folder().remove(dag_id(plan), files)

    def _place(self, file: DagFile, files: Mapping[str, bytes], store: ArtifactStore[Any], api: Api | None) -> str:
        """Place a DAG file, and, where there is an API to ask, wait until this very version is parsed; activate it."""
        if api is not None:
            from turnout_airflow.trial import see_secrets

            see_secrets(file.plan, self.config)
            api.see_pools(file.plan)
        files = {"environment.json": pretty(store.environment()), **files}
        placed = self._folder().place(file.dag_id, files, _name(file.plan))
        if api is not None:
            api.wait_parsed(file.dag_id, file.version, placed, self.config.parse_timeout)
            api.call("PATCH", f"/dags/{file.dag_id}", {"is_paused": False})
        return placed.address

    def _folder(self) -> EngineFolder:
        if not self.config.dags_folder:
            raise ConfigError(
                "the stack does not say where Airflow reads DAG files from",
                fix="set orchestrator: {type: airflow, dags_folder: …}, or use `turnout export`",
            )
        return engine_folder(self.config.dags_folder, "dags_folder")

    # runs

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: ArtifactStore[Any]) -> RunHandle:
        """Place the DAG for submitted runs, wait until this very version is parsed, and start a run of it."""
        check(plan)
        api, file = self._api(), DagFile(plan, self.config, manual=True)
        self._place(file, {_name(plan): file.source.encode()}, store, api)
        engine_run = f"{SUBMITTED}{submission.options.uuid}"
        url = f"{self.config.url.rstrip('/')}/dags/{file.dag_id}/runs/{engine_run}"
        options = msgspec.to_builtins(msgspec.structs.replace(submission.options, engine_url=url))
        params = packable(submission.params)
        exact = {
            spec.name: sent(submission.params[spec.name], spec.type) for spec in plan.params if spec.name in params
        }
        conf = {**params, **exact, OPTIONS: packable(options)}

        def start() -> RunHandle:
            api.start(file.dag_id, engine_run, conf)
            return AirflowRun(DagRun(api, file.dag_id, engine_run), plan, url, self.watch)

        return started(start)

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """What Airflow says of a run; ``unknown`` without a URL, and for a run it does not have."""
        if not self.config.url:
            return RunStatus(state="unknown")
        return self._run(plan, engine_run).status(plan)

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """The lines of a task's log, all tries in order."""
        return self._run(plan, engine_run).logs(step, index)

    def resume(self, plan: Plan, run: RunInfo, store: ArtifactStore[Any]) -> RunHandle:
        """Clear the tasks of what is not committed, and the one that marks the end: Airflow runs them again."""
        dag_run = self._run(plan, run.engine_run)
        dag_run.clear(plan, committed(store, run.project, run.id))
        return AirflowRun(dag_run, plan, run.engine_url, self.watch)

    def cancel(self, plan: Plan, engine_run: str) -> None:
        """Mark the tasks failed that have not ended, which stops them; the task that marks the end still runs."""
        self._run(plan, engine_run).cancel()

    def _run(self, plan: Plan, engine_run: str) -> DagRun:
        return DagRun(self._api(), dag_id(plan, manual=engine_run.startswith(SUBMITTED)), engine_run)

    def _api(self) -> Api:
        from turnout_airflow.api import Api  # with it comes what speaks HTTP

        return Api(self.config)


def _name(plan: Plan) -> str:
    """What the DAG file is called."""
    return f"{plan.name}_dag.py"


def _first_run(plan: Plan) -> str:
    """What Airflow does of a schedule without a start."""
    if any(spec.source.startswith("interval") for spec in plan.params):
        return "its first run is of the interval that ended last, as soon as the DAG is activated"
    if plan.schedule is not None and plan.schedule.every is not None:
        return "its first run begins as soon as the DAG is activated"
    return "its first run is the next one after the DAG is activated"
