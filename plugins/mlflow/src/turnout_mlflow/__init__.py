"""The hooks of the plugin: the tracker ``mlflow``, and the command of that name."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_trackers() -> tuple[Lazy, ...]:
    """The tracker ``mlflow``."""
    return (Lazy("mlflow", "turnout_mlflow.tracker:MlflowTracker"),)


@hookimpl
def turnout_commands() -> tuple[Lazy, ...]:
    """The command ``mlflow``."""
    return (Lazy("mlflow", "turnout_mlflow.trial:mlflow"),)
