"""The hooks of the plugin: the feature store ``feast``."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_feature_stores() -> tuple[Lazy, ...]:
    """The feature store ``feast``."""
    return (Lazy("feast", "turnout_feast.feature_store:FeastFeatureStore"),)
