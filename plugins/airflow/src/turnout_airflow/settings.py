"""What a stack says of Airflow, of a pipeline's DAG and of a step's task."""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from turnout.plugin_api import Config, ExistingLocalPath, Secret, Url, Variable
from turnout_airflow.container_settings import (
    IMAGE,
    Count,
    DockerOptions,
    DockerSettings,
    KubernetesOptions,
    KubernetesSettings,
)

FINISH = "finish-run"
"""The id of the task that marks the end; no step can have it, for their names have no hyphen."""
Seconds = Annotated[float, Meta(gt=0)]
_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$(?!\n)"
Path = Annotated[str, Meta(pattern=_PATH)]
Callbacks = str | tuple[Path, ...]
"""Functions by their paths, ``package.module:function``, in modules that Airflow can import.

One alone is held against the pattern by :func:`_check_paths`: msgspec 0.22 frees what is not its own, and brings the
interpreter down, where a type with a constraint is in a union with a collection.
"""


class AirflowSettings(Config, frozen=True):
    """Settings of the orchestrator ``airflow``."""

    instance: Annotated[
        str,
        Meta(
            description="Part of every run id, and of the ids of DAGs, but for the default; "
            "give an Airflow that was reset a new one."
        ),
    ] = "airflow"
    launch: Annotated[
        Literal["python", "docker", "kubernetes"],
        Meta(description="How a task starts its step: a process of an interpreter, a container, or a pod."),
    ] = "python"
    python: Annotated[
        str,
        Meta(
            description="The interpreter that has turnout, on the workers (empty for the one that Airflow runs in) or "
            "in the image (empty for `python`)."
        ),
    ] = ""
    image: Annotated[str, Meta(description="The image of steps that name none of their own.", pattern=IMAGE)] = ""
    environment: Annotated[
        dict[Variable, str], Meta(description="Variables of every container, in clear: for `docker`, `kubernetes`.")
    ] = msgspec.field(default_factory=dict)
    variables: Annotated[
        tuple[Variable, ...],
        Meta(
            description="Airflow's own variables (AIRFLOW__…) that steps see, with `launch: python`; else none of them."
        ),
    ] = ()
    docker: Annotated[DockerSettings, Meta(description="How containers are made, with `launch: docker`.")] = (
        DockerSettings()
    )
    kubernetes: Annotated[KubernetesSettings, Meta(description="How pods are made, with `launch: kubernetes`.")] = (
        KubernetesSettings()
    )
    max_map_length: Annotated[
        Count, Meta(description="How many elements Airflow maps over at most: its own `[core] max_map_length`.")
    ] = 1024
    dags_folder: Annotated[
        ExistingLocalPath,
        Meta(description="Where Airflow reads DAG files from: a folder, or a URL that fsspec can write to."),
    ] = ""
    url: Annotated[Url, Meta(description="Where Airflow's API server answers, such as http://localhost:8080.")] = ""
    user: Annotated[str, Meta(description="Who to sign in as; with `password`.")] = ""
    password: Annotated[Secret, Meta(description="The password of `user`.")] = ""
    token: Annotated[Secret, Meta(description="A bearer token, instead of user and password.")] = ""
    ca: Annotated[ExistingLocalPath, Meta(description="A file of certificates to trust beside the system's.")] = ""
    parse_timeout: Annotated[
        float, Meta(description="How many seconds Airflow may take to parse a DAG file that was placed.", gt=0)
    ] = 120.0


class DagOptions(Config, frozen=True):
    """Options of a pipeline: ``pipelines: {flights: {airflow: {…}}}``."""

    dag_id: Annotated[
        str,
        Meta(
            description="The DAG's id; by default PROJECT.PIPELINE, or PROJECT.PIPELINE.INSTANCE.",
            pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,199})?$(?!\n)",
        ),
    ] = ""
    owner: Annotated[str, Meta(description="The owner of all tasks.")] = ""
    max_active_runs: Annotated[Count | None, Meta(description="How many runs may go on at once.")] = None
    max_active_tasks: Annotated[Count | None, Meta(description="How many tasks may run at once.")] = None
    run_timeout: Annotated[Seconds | None, Meta(description="How many seconds a run may take.")] = None
    max_consecutive_failed_runs: Annotated[
        Count | None, Meta(description="After how many failed runs in a row the DAG is paused.")
    ] = None
    on_success_callback: Annotated[
        Callbacks, Meta(description="What is called when a run has succeeded: package.module:function.")
    ] = ()
    on_failure_callback: Annotated[Callbacks, Meta(description="What is called when a run has failed.")] = ()
    deadline: Annotated[
        Seconds | None, Meta(description="How many seconds after it is queued a run is late; takes Airflow 3.2.")
    ] = None
    on_deadline_callback: Annotated[Path | None, Meta(description="What is called when a run is late.")] = None

    def __post_init__(self) -> None:
        if (self.deadline is None) != (self.on_deadline_callback is None):
            raise ValueError("deadline and on_deadline_callback go together")
        _check_paths(self)


class TaskOptions(Config, frozen=True):
    """Options of a step: ``steps: {"fit*": {airflow: {…}}}``. The plain ones are Airflow's own of that name."""

    owner: Annotated[str, Meta(description="The task's owner.")] = ""
    pool: Annotated[str, Meta(description="The pool it takes a slot of.")] = ""
    pool_slots: Annotated[int, Meta(description="How many slots of the pool it takes.", ge=1)] = 1
    queue: Annotated[str, Meta(description="The queue of workers it goes to.")] = ""
    executor: Annotated[str, Meta(description="The executor it goes to, where there are several.")] = ""
    priority_weight: Annotated[int, Meta(description="Its priority over other tasks of the pool.")] = 1
    max_active_tis_per_dag: Annotated[
        Count | None, Meta(description="How many of it may run at once, over all runs.")
    ] = None
    max_active_tis_per_dagrun: Annotated[
        Count | None, Meta(description="How many of it (elements of a map) may run at once in one run.")
    ] = None
    outlets: Annotated[
        tuple[str, ...], Meta(description="Names of assets it updates; other pipelines are scheduled by them.")
    ] = ()
    depends_on_past: Annotated[bool, Meta(description="Whether it waits until it succeeded in the run before.")] = False
    on_execute_callback: Annotated[
        Callbacks, Meta(description="What is called before it starts: package.module:function.")
    ] = ()
    on_success_callback: Annotated[Callbacks, Meta(description="What is called when it has succeeded.")] = ()
    on_failure_callback: Annotated[Callbacks, Meta(description="What is called when it has failed for good.")] = ()
    on_retry_callback: Annotated[Callbacks, Meta(description="What is called when it will be tried again.")] = ()
    on_skipped_callback: Annotated[Callbacks, Meta(description="What is called when it is skipped.")] = ()
    docker: Annotated[DockerOptions, Meta(description="What is different of its container.")] = DockerOptions()
    kubernetes: Annotated[KubernetesOptions, Meta(description="What is different of its pod.")] = KubernetesOptions()

    def __post_init__(self) -> None:
        _check_paths(self)


def _check_paths(options: DagOptions | TaskOptions) -> None:
    """See that callbacks can be imported by their paths; raises ValueError."""
    for name in options.__struct_fields__:
        if not name.endswith("_callback"):
            continue
        value = getattr(options, name) or ()
        for path in (value,) if isinstance(value, str) else value:
            if not re.match(_PATH, path) or any(map(keyword.iskeyword, re.split("[.:]", path))):
                raise ValueError(f"{name} is a path of the form package.module:function, or several, not {path!r}")
