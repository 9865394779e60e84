"""The hooks of the plugin: the tracker ``mlflow``, and the command of that name."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_trackers() -> tuple[type[Any], ...]:
    """The tracker ``mlflow``."""
    from turnout_mlflow.tracker import MlflowTracker

    return (MlflowTracker,)


@hookimpl
def turnout_commands() -> tuple[Any, ...]:
    """The command ``mlflow``."""
    from turnout_mlflow.command import mlflow

    return (mlflow,)
