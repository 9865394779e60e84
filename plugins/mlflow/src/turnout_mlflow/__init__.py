"""The hooks of the plugin: the tracker ``mlflow``."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_trackers() -> tuple[type[Any], ...]:
    """The tracker ``mlflow``."""
    from turnout_mlflow.tracker import MlflowTracker

    return (MlflowTracker,)
