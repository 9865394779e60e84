"""The hooks of the plugin: the tracker ``tensorboard``."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_trackers() -> tuple[type[Any], ...]:
    """The tracker ``tensorboard``."""
    from turnout_tensorboard.tracker import TensorboardTracker

    return (TensorboardTracker,)
