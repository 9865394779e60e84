"""The tracker ``mlflow``: a run of turnout is a run of MLflow, made once, whichever worker comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec

from turnout.plugin_api import Batch, Point, RunInfo, RunState, Secret, Tracker, TrackerConfig, digest, encode
from turnout_mlflow import names
from turnout_mlflow.connection import Connection, holds_credential

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

RUN, STEP, STATE = "turnout.run", "turnout.step", "turnout.state"
"""The tags by which a run, a step's nested run, and how a run ended are found."""

_STATES = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING"}
_METRICS, _PARAMS, _PARAM_LENGTH = 1000, 20, 6000

T = TypeVar("T")


class MlflowSettings(TrackerConfig, frozen=True):
    """Settings of the tracker ``mlflow``."""

    uri: Annotated[
        str,
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
    username: Annotated[str | None, msgspec.Meta(description="The user of a server.")] = None
    password: Annotated[Secret | None, msgspec.Meta(description="The user's password.")] = None
    token: Annotated[Secret | None, msgspec.Meta(description="A bearer token, instead of user and password.")] = None
    timeout: Annotated[int, msgspec.Meta(description="Seconds that a server has to answer a request.", ge=1)] = 30
    retries: Annotated[int, msgspec.Meta(description="How often a failed request is tried again.", ge=0, le=9)] = 1

    def __post_init__(self) -> None:
        if holds_credential(self.uri):
            raise ValueError("the uri names a user or a password; take username and password for them")
        if self.uri.startswith("file:") or "://" not in self.uri:
            raise ValueError("the uri is neither that of a server nor of a database, such as sqlite:///mlflow.db")


class MlflowTracker(Tracker[MlflowSettings]):
    """Sends points in batches. MLflow keeps one of equal points, and a point sent twice has the same time and step."""

    name = "mlflow"
    Config = MlflowSettings

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
                started = _milliseconds(run.created)
                name = f"{run.pipeline}-{run.id.rpartition('-')[2][:12]}"
                made: str = client.create_run(experiment, started, tags=tags, run_name=name).info.run_id
                return made

            external = create() if claimed else _found(client, experiment, {RUN: run.id, STEP: None}, create)
            self._params(client, external, {names.key(name): _text(value) for name, value in run.params.items()})
            return external

    def log(self, batch: Batch) -> None:
        label = names.label(batch.step, batch.index)
        with self._connection.client(f"to take what {label} logged") as client:
            nested = self.config.steps == "nested"
            target = self._nested(client, batch, label) if nested else batch.external_id
            prefix = "" if nested else f"{label}/"
            for part in _parts(_metrics(prefix, batch.points), _METRICS):
                client.log_batch(target, metrics=part)
            params = {names.key(prefix + name): _text(value) for name, value in sorted(batch.params.items())}
            self._params(client, target, params)
            for name, path in sorted(batch.artifacts.items()):
                send = client.log_artifacts if path.is_dir() else client.log_artifact
                send(target, str(path), prefix + names.folder(name))

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
        for part in _parts(new, _PARAMS):
            client.log_batch(target, params=part)
        for other in _parts(changed, _PARAMS):
            client.log_batch(target, tags=other)

    def _nested(self, client: MlflowClient, batch: Batch, label: str) -> str:
        """The run of a step within its run, made when the step first logs something."""
        experiment = client.get_run(batch.external_id).info.experiment_id
        tags = {RUN: batch.run.id, STEP: label, "mlflow.parentRunId": batch.external_id}

        def create() -> str:
            made: str = client.create_run(experiment, tags=tags, run_name=label).info.run_id
            return made

        return _found(client, experiment, tags, create)

    def _experiment(self, client: MlflowClient, run: RunInfo) -> str:
        from mlflow.exceptions import MlflowException

        name = self.config.experiment or f"{run.project}/{run.pipeline}"
        found = client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                raise ValueError(f"the experiment {name!r} is deleted: restore it, or set another in the stack")
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


def _metrics(prefix: str, points: Sequence[Point]) -> list[Metric]:
    """Points as MLflow has them. Its times are milliseconds: points that would be equal move one on, in their order."""
    from mlflow.entities import Metric

    made, seen = [], set()
    for point in sorted(points, key=lambda one: one.sequence):
        key, value = names.key(prefix + point.name), float(point.value)
        step = point.sequence if point.x is None else point.x
        moment = _milliseconds(point.time)
        while (key, step, str(value), moment) in seen:
            moment += 1
        seen.add((key, step, str(value), moment))
        made.append(Metric(key, value, moment, step))
    return made


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


def _milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() * 1000)


def _parts(items: Sequence[T], size: int) -> Iterator[list[T]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
