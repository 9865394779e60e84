"""The hooks: each collects classes and does nothing else. YAML chooses among them by name, so order never matters.

What is returned is a class, or says by :class:`~turnout.plugin_api.Lazy` where it is: it is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from turnout.components.artifact_store import ArtifactStore
    from turnout.components.deployer import Deployer
    from turnout.components.feature_store import FeatureStore
    from turnout.components.lazy import Lazy
    from turnout.components.materializer import Materializer
    from turnout.components.observer import Observer
    from turnout.components.orchestrator import Orchestrator
    from turnout.components.policy import Policy
    from turnout.components.secret_store import SecretStore
    from turnout.components.tracker import Tracker

hookspec = pluggy.HookspecMarker("turnout")
hookimpl = pluggy.HookimplMarker("turnout")


@hookspec
def turnout_orchestrators() -> Iterable[type[Orchestrator[Any]] | Lazy]:  # type: ignore[empty-body]
    """The orchestrators a plugin brings."""


@hookspec
def turnout_artifact_stores() -> Iterable[type[ArtifactStore[Any]] | Lazy]:  # type: ignore[empty-body]
    """The artifact stores a plugin brings."""


@hookspec
def turnout_feature_stores() -> Iterable[type[FeatureStore[Any]] | Lazy]:  # type: ignore[empty-body]
    """The feature stores a plugin brings."""


@hookspec
def turnout_deployers() -> Iterable[type[Deployer[Any]] | Lazy]:  # type: ignore[empty-body]
    """The deployers a plugin brings."""


@hookspec
def turnout_trackers() -> Iterable[type[Tracker[Any]] | Lazy]:  # type: ignore[empty-body]
    """The trackers a plugin brings."""


@hookspec
def turnout_materializers() -> Iterable[type[Materializer] | Lazy]:  # type: ignore[empty-body]
    """The materializers a plugin brings."""


@hookspec
def turnout_observers() -> Iterable[type[Observer[Any]] | Lazy]:  # type: ignore[empty-body]
    """The observers a plugin brings."""


@hookspec
def turnout_secret_stores() -> Iterable[type[SecretStore[Any]] | Lazy]:  # type: ignore[empty-body]
    """The secret stores a plugin brings."""


@hookspec
def turnout_policies() -> Iterable[type[Policy[Any]] | Lazy]:  # type: ignore[empty-body]
    """The policies a plugin brings."""


@hookspec
def turnout_commands() -> Iterable[click.Command | Lazy]:  # type: ignore[empty-body]
    """The commands a plugin adds to the command line."""
