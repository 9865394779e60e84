"""The components that come with turnout, registered by the hooks that plugins use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.components.hookspecs import hookimpl
from turnout.components.lazy import Lazy

if TYPE_CHECKING:
    from turnout.components.materializer import Materializer


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator of this machine."""
    return (Lazy("local", "turnout.engines.local.adapter:LocalOrchestrator"),)


@hookimpl
def turnout_artifact_stores() -> tuple[Lazy, ...]:
    """A folder, and the object stores of the clouds."""
    return (
        Lazy("local", "turnout.stores.local:LocalStore"),
        Lazy("cloud", "turnout.stores.cloud:CloudStore"),
    )


@hookimpl
def turnout_feature_stores() -> tuple[Lazy, ...]:
    """No feature store, and a folder of Parquet files."""
    return (
        Lazy("none", "turnout.builtin.no_feature_store:NoFeatureStore"),
        Lazy("local", "turnout.features.local.store:LocalFeatureStore"),
    )


@hookimpl
def turnout_deployers() -> tuple[Lazy, ...]:
    """No deployer, and this machine."""
    return (
        Lazy("none", "turnout.builtin.no_deployer:NoDeployer"),
        Lazy("local", "turnout.serving.local:LocalDeployer"),
    )


@hookimpl
def turnout_trackers() -> tuple[Lazy, ...]:
    """No tracker."""
    return (Lazy("none", "turnout.builtin.no_tracker:NoTracker"),)


@hookimpl
def turnout_materializers() -> tuple[type[Materializer], ...]:
    """What turnout writes and reads by itself."""
    from turnout.materializers.builtin import BUILTIN

    return BUILTIN


@hookimpl
def turnout_observers() -> tuple[Lazy, ...]:
    """Events as lines of JSON."""
    return (Lazy("jsonl", "turnout.builtin.jsonl:JsonLines"),)


@hookimpl
def turnout_secret_stores() -> tuple[Lazy, ...]:
    """Secrets from environment variables and from files."""
    return (
        Lazy("env", "turnout.builtin.secrets_from_environment:EnvironmentSecrets"),
        Lazy("files", "turnout.builtin.secrets_from_files:FileSecrets"),
    )


@hookimpl
def turnout_policies() -> tuple[Lazy, ...]:
    """No pickles, images from allowed places, code that a commit holds."""
    return (
        Lazy("no_pickle", "turnout.builtin.no_pickle:NoPickle"),
        Lazy("images", "turnout.builtin.allowed_images:Images"),
        Lazy("clean_git", "turnout.builtin.clean_git:CleanGit"),
    )
