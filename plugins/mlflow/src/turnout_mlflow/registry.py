"""MLflow's registry of models: an alias of ours is one of its aliases, whoever set it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turnout.plugin_api import Registered
from turnout_mlflow.tags import Origin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

_OUTSIDE_NAMES = re.compile(r"[/:\s]")
_MODEL = re.compile(r"(?:^models:|/models)/(m-[0-9a-f]{32})")
"""The id of a run's model in the source of a version: what the registry keeps of where a version comes from."""
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def name_of(project: str) -> str:
    """The registered model of a project, whose aliases are the project's."""
    return _OUTSIDE_NAMES.sub("_", project)


def set_alias(client: MlflowClient, name: str, alias: str, model: LoggedModel, origin: Origin, run: str) -> str:
    """Let an alias stand for a model, entered once as a version; return MLflow's address of it."""
    version = _version(client, name, origin) or _enter(client, name, model, origin, run)
    client.set_registered_model_alias(name, alias, version.version)
    return f"models:/{name}@{alias}"


def find(client: MlflowClient, name: str, alias: str) -> Registered | None:
    """What an alias stands for; None where there is none, or it is a model that is not of ours."""
    from mlflow.exceptions import MlflowException

    try:
        version = client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise
    origin = Origin.of(version.tags)
    if origin is None and (model := _MODEL.search(version.source or "")):  # someone has entered it by hand
        origin = Origin.of(client.get_logged_model(model[1]).tags)
    return None if origin is None else origin.registered(f"models:/{name}@{alias}")


def _version(client: MlflowClient, name: str, origin: Origin) -> ModelVersion | None:
    found = (one for one in client.search_model_versions(f"name = '{name}'") if Origin.of(one.tags) == origin)
    return next(iter(sorted(found, key=lambda one: int(one.version))), None)


def _enter(client: MlflowClient, name: str, model: LoggedModel, origin: Origin, run: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, model.artifact_location, run_id=run, tags=origin.tags(), await_creation_for=0, model_id=model.model_id
    )
