"""turnout: one pipeline definition for the MLOps tools a team already has.

The names below are what users write with; each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from turnout.api.aliases import artifact
    from turnout.api.comparison import compare
    from turnout.api.endpoint import endpoint
    from turnout.api.listing import runs
    from turnout.api.pipeline import pipeline
    from turnout.api.promotion import promote
    from turnout.api.run import Run
    from turnout.base.context import log_artifact, log_figure, log_metric, log_metrics, log_params, log_table
    from turnout.base.errors import (
        ArtifactError,
        ConfigError,
        DefinitionError,
        DeployError,
        PlanError,
        PluginError,
        RunError,
        TurnoutError,
        UnsupportedError,
    )
    from turnout.definition.features import Features
    from turnout.definition.markers import INTERVAL_END, INTERVAL_START, LOGICAL_TIME
    from turnout.definition.own_materializers import materializer
    from turnout.definition.step import step
    from turnout.definition.when import when
    from turnout.files import File, Folder
    from turnout.model.settings import Resources

_HOMES = {
    "turnout.base.context": ("log_artifact", "log_figure", "log_metric", "log_metrics", "log_params", "log_table"),
    "turnout.definition.features": ("Features",),
    "turnout.definition.own_materializers": ("materializer",),
    "turnout.definition.step": ("step",),
    "turnout.definition.when": ("when",),
    "turnout.base.errors": (
        "ArtifactError",
        "ConfigError",
        "DefinitionError",
        "DeployError",
        "PlanError",
        "PluginError",
        "RunError",
        "TurnoutError",
        "UnsupportedError",
    ),
    "turnout.files": ("File", "Folder"),
    "turnout.definition.markers": ("INTERVAL_END", "INTERVAL_START", "LOGICAL_TIME"),
    "turnout.api.aliases": ("artifact",),
    "turnout.api.comparison": ("compare",),
    "turnout.api.endpoint": ("endpoint",),
    "turnout.api.listing": ("runs",),
    "turnout.api.pipeline": ("pipeline",),
    "turnout.api.promotion": ("promote",),
    "turnout.api.run": ("Run",),
    "turnout.model.settings": ("Resources",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "INTERVAL_END",
    "INTERVAL_START",
    "LOGICAL_TIME",
    "ArtifactError",
    "ConfigError",
    "DefinitionError",
    "DeployError",
    "Features",
    "File",
    "Folder",
    "PlanError",
    "PluginError",
    "Resources",
    "Run",
    "RunError",
    "TurnoutError",
    "UnsupportedError",
    "artifact",
    "compare",
    "endpoint",
    "log_artifact",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_params",
    "log_table",
    "materializer",
    "pipeline",
    "promote",
    "runs",
    "step",
    "when",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'turnout' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
