"""The hooks of the plugin: the tracker ``tensorboard``."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_trackers() -> tuple[Lazy, ...]:
    """The tracker ``tensorboard``."""
    return (Lazy("tensorboard", "turnout_tensorboard.tracker:TensorboardTracker"),)
