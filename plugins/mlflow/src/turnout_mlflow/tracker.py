"""The tracker ``mlflow``: a run of turnout is a run of MLflow, made once, whichever worker comes first."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from turnout.plugin_api import (
    Artifact,
    Batch,
    Promotion,
    Registered,
    RunInfo,
    RunState,
    Secret,
    SettingError,
    Traced,
    Tracker,
    TrackerConfig,
    Uri,
    digest,
    encode,
)
from turnout_mlflow import autolog, datasets, models, names, registry, tables
from turnout_mlflow.connection import DELETED, Connection
from turnout_mlflow.points import Points, milliseconds, parts
from turnout_mlflow.tags import RUN, STATE, STEP, Origin

if TYPE_CHECKING:
    from mlflow import MlflowClient

_STATES = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING"}
_METRICS, _PARAMS, _PARAM_LENGTH = 1000, 20, 6000


class MlflowSettings(TrackerConfig, frozen=True):
    """Settings of the tracker ``mlflow``."""

    uri: Annotated[
        Uri,
        msgspec.Meta(
            description="The address of a server, or a database such as sqlite:///mlflow.db, as workers see it."
        ),
    ] = "sqlite:///mlflow.db"
    experiment: Annotated[
        str | None, msgspec.Meta(description="The experiment of all runs; by default one a pipeline: PROJECT/PIPELINE.")
    ] = None
    steps: Annotated[
        Literal["named", "nested"],
        msgspec.Meta(description="A step's names begin with its own (named), or it has a run within the run (nested)."),
    ] = "named"
    artifacts: Annotated[
        str | None,
        msgspec.Meta(
            description="Where new experiments keep artifacts; by default the server's choice, or beside SQLite."
        ),
    ] = None
    datasets: Annotated[
        bool, msgspec.Meta(description="Whether the tables that a step reads are data sets of the run.")
    ] = True
    models: Annotated[
        bool, msgspec.Meta(description="Whether the models that a step makes are models of MLflow, in their flavour.")
    ] = True
    registered_model: Annotated[
        str | None, msgspec.Meta(description="The registered model whose aliases are ours; by default PROJECT.")
    ] = None
    autolog: Annotated[
        bool | list[str],
        msgspec.Meta(description="Whether MLflow logs by itself while a step runs: for all libraries, or for some."),
    ] = False
    username: Annotated[str | None, msgspec.Meta(description="The user of a server.")] = None
    password: Annotated[Secret | None, msgspec.Meta(description="The user's password.")] = None
    token: Annotated[Secret | None, msgspec.Meta(description="A bearer token, instead of user and password.")] = None
    timeout: Annotated[int, msgspec.Meta(description="Seconds that a server has to answer a request.", ge=1)] = 30
    retries: Annotated[int, msgspec.Meta(description="How often a failed request is tried again.", ge=0, le=9)] = 1

    def __post_init__(self) -> None:
        if self.uri.startswith("file:") or "://" not in self.uri:
            raise SettingError(
                "the uri is neither that of a server nor of a database",
                "uri",
                fix="write it as http://localhost:5000, or as sqlite:///mlflow.db",
            )


class MlflowTracker(Tracker[MlflowSettings]):
    """Sends points in batches. MLflow keeps one of equal points, and a point sent twice has the same time and step."""

    name = "mlflow"
    Config = MlflowSettings

    def __init__(self, config: MlflowSettings) -> None:
        super().__init__(config)
        self._points = Points()
        self._children: dict[tuple[str, str], str] = {}
        self._experiments: dict[str, str] = {}

    @cached_property
    def _connection(self) -> Connection:
        given = self.config
        return Connection(
            given.uri,
            username=given.username,
            password=given.password,
            token=given.token,
            timeout=given.timeout,
            retries=given.retries,
        )

    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        with self._connection.client(f"to begin the run {run.id}") as client:
            experiment = self._experiment(client, run)
            tags = {**_own_tags(run), RUN: run.id}

            def create() -> str:
                started = milliseconds(run.created)
                name = f"{run.pipeline}-{run.id.rpartition('-')[2][:12]}"
                made: str = client.create_run(experiment, started, tags=tags, run_name=name).info.run_id
                return made

            external = create() if claimed else _found(client, experiment, {RUN: run.id, STEP: None}, create)
            self._params(client, external, {names.key(name): _text(value) for name, value in run.plain_params.items()})
            return external

    def log(self, batch: Batch) -> None:
        label = names.label(batch.step, batch.index)
        with self._connection.client(f"to take what {label} logged") as client:
            nested = self.config.steps == "nested"
            target = self._nested(client, batch.run, batch.external_id, label) if nested else batch.external_id
            prefix = "" if nested else f"{label}/"
            for part in parts(list(self._points.metrics(prefix, batch)), _METRICS):
                client.log_batch(target, metrics=part)
            params = {names.key(prefix + name): _text(value) for name, value in sorted(batch.params.items())}
            self._params(client, target, params)
            for run in dict.fromkeys((batch.external_id, target)):
                _tag(client, run, batch.tags)
            for name, path in sorted(batch.artifacts.items()):
                _send(client, target, path, prefix + names.folder(name))
            if self.config.datasets:
                datasets.log(client, target, label, batch.inputs)
            for output in batch.outputs:
                origin = Origin(batch.run.id, batch.step, batch.index, output.name, output.artifact.digest)
                models.log(client, self._experiment_of(client, target), target, origin, output, batch.inputs)
        batch.refuse_rest("MLflow")

    def traces(self, artifact: Artifact, *, made: bool) -> bool:
        if made:
            return self.config.models and models.flavour(artifact) is not None
        return (self.config.datasets or self.config.models) and datasets.is_table(artifact)

    def page(self, external_id: str) -> str | None:
        return self._connection.page(external_id)

    def around(self) -> AbstractContextManager[None]:
        wanted = self.config.autolog
        if not wanted:
            return nullcontext()
        return autolog.autologging(None if wanted is True else wanted)

    def register(self, promotion: Promotion) -> str | None:
        if models.flavour(promotion.artifact) is None:
            return None
        run = promotion.run
        origin = Origin(run.id, promotion.step, promotion.index, promotion.output, promotion.artifact.digest)
        with self._connection.client(f"to register {promotion.step} of the run {run.id}") as client:
            label = names.label(promotion.step, promotion.index)
            nested = self.config.steps == "nested"
            target = self._nested(client, run, promotion.external_id, label) if nested else promotion.external_id
            output = Traced(
                name=promotion.output,
                artifact=promotion.artifact,
                step=promotion.step,
                output=promotion.output,
                address="",
                files=lambda: promotion.files,
                load=promotion.load,
            )
            model = models.log(client, self._experiment_of(client, target), target, origin, output, ())
            if model is None:
                return None
            _tag(client, target, promotion.tags)
            return registry.set_alias(client, self._registered(run.project), promotion.alias, model, origin, target)

    def resolve(self, project: str, alias: str) -> Registered | None:
        with self._connection.client(f"to say what {alias!r} is") as client:
            return registry.find(client, self._registered(project), alias)

    def _registered(self, project: str) -> str:
        return self.config.registered_model or registry.name_of(project)

    def _experiment_of(self, client: MlflowClient, run: str) -> str:
        if run not in self._experiments:
            self._experiments[run] = client.get_run(run).info.experiment_id
        return self._experiments[run]

    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        if state not in _STATES:
            return
        with self._connection.client(f"to finish the run {run.id}") as client:
            found = client.get_run(external_id)
            if self.config.steps == "nested":
                condition = f"tags.`mlflow.parentRunId` = '{external_id}'"
                for child in _search(client, found.info.experiment_id, condition):
                    client.set_terminated(child, _STATES[state])
            client.set_tag(external_id, STATE, state)
            client.set_terminated(external_id, _STATES[state])

    def _params(self, client: MlflowClient, target: str, params: Mapping[str, str]) -> None:
        """Log parameters. MLflow never changes one: what a later attempt says otherwise is a tag of that name."""
        from mlflow.entities import Param, RunTag

        if not params:
            return
        known = client.get_run(target).data.params
        new = [Param(key, value) for key, value in params.items() if key not in known]
        changed = [RunTag(key, value) for key, value in params.items() if known.get(key, value) != value]
        for part in parts(new, _PARAMS):
            client.log_batch(target, params=part)
        for other in parts(changed, _PARAMS):
            client.log_batch(target, tags=other)

    def _nested(self, client: MlflowClient, run: RunInfo, parent: str, label: str) -> str:
        """The run of a step within its run, made when the step first logs something."""
        if (parent, label) in self._children:
            return self._children[parent, label]
        experiment = self._experiment_of(client, parent)
        tags = {RUN: run.id, STEP: label, "mlflow.parentRunId": parent}

        def create() -> str:
            made: str = client.create_run(experiment, tags=tags, run_name=label).info.run_id
            return made

        found = self._children[parent, label] = _found(client, experiment, tags, create)
        return found

    def _experiment(self, client: MlflowClient, run: RunInfo) -> str:
        from mlflow.exceptions import MlflowException

        name = self.config.experiment or f"{run.project}/{run.pipeline}"
        found = client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                raise ValueError(f"the experiment {name!r} {DELETED}")
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(name, artifact_location=self._artifacts(name)))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another run has made it in the meantime
            if found is None:
                raise
            return str(found.experiment_id)

    def _artifacts(self, experiment: str) -> str | None:
        if self.config.artifacts is not None:
            return f"{self.config.artifacts.rstrip('/')}/{digest(encode(experiment))[:16]}"
        database = self._connection.database
        if database is None:
            return None
        return (database.parent / "mlflow-artifacts" / digest(encode(experiment))[:16]).as_uri()


def _found(client: MlflowClient, experiment: str, tags: Mapping[str, str | None], create: Callable[[], str]) -> str:
    """The run with these tags, created where there is none; of several made at the same moment the first stays."""
    condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items() if value is not None)
    without = tuple(name for name, value in tags.items() if value is None)
    if known := _search(client, experiment, condition, without):
        return known[0]
    made = create()
    first = (_search(client, experiment, condition, without) or [made])[0]
    if first != made:
        client.delete_run(made)
    return first


def _search(client: MlflowClient, experiment: str, condition: str, without: Sequence[str] = ()) -> list[str]:
    """The ids of runs, in an order on which all workers agree."""
    found, page = [], None
    while True:
        answer = client.search_runs([experiment], condition, max_results=1000, page_token=page)
        found += [run for run in answer if not any(name in run.data.tags for name in without)]
        page = answer.token
        if not page:
            return [run.info.run_id for run in sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))]


def _send(client: MlflowClient, run: str, path: Path, folder: str) -> None:
    """Send an artifact's files; of a table also the first rows, as MLflow's pages show them."""
    if not path.is_dir():
        client.log_artifact(run, str(path), folder)
        return
    client.log_artifacts(run, str(path), folder)
    with tempfile.TemporaryDirectory(prefix="turnout-preview-") as made:
        preview = Path(made) / "preview.csv"
        if tables.write_preview(path, preview):
            client.log_artifact(run, str(preview), folder)


def _tag(client: MlflowClient, run: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    for part in parts([RunTag(*tag) for tag in sorted(tags.items())], _PARAMS):
        client.log_batch(run, tags=part)


def _own_tags(run: RunInfo) -> dict[str, str]:
    given = {
        "mlflow.user": run.started_by,
        "mlflow.source.name": run.pipeline,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": run.git.commit if run.git else "",
        "turnout.git_dirty": str(run.git.dirty).lower() if run.git else "",
        "turnout.project": run.project,
        "turnout.pipeline": run.pipeline,
        "turnout.plan": run.plan,
        "turnout.stack": run.stack,
        "turnout.orchestrator": run.orchestrator,
        "turnout.instance": run.instance,
        "turnout.engine_run": run.engine_run,
        "turnout.engine_url": run.engine_url,
        "turnout.logical_time": run.logical_time or "",
    }
    return {**{names.key(n): v for n, v in run.options.tags.items()}, **{n: v for n, v in given.items() if v}}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else encode(value).decode()
    return text[:_PARAM_LENGTH]
