"""The components that come with turnout, brought by the same hooks as anyone's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.components.lazy import Lazy
from turnout.hookspecs import hookimpl

if TYPE_CHECKING:
    from turnout.components.materializer import Materializer


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator of this machine."""
    return (Lazy("local", "turnout.local.orchestrator:LocalOrchestrator"),)


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
        Lazy("none", "turnout.feature_stores.none:NoFeatureStore"),
        Lazy("local", "turnout.feature_stores.local:LocalFeatureStore"),
    )


@hookimpl
def turnout_deployers() -> tuple[Lazy, ...]:
    """No deployer."""
    return (Lazy("none", "turnout.deployers.none:NoDeployer"),)


@hookimpl
def turnout_trackers() -> tuple[Lazy, ...]:
    """No tracker."""
    return (Lazy("none", "turnout.trackers.none:NoTracker"),)


@hookimpl
def turnout_materializers() -> tuple[type[Materializer], ...]:
    """What turnout writes and reads by itself."""
    from turnout.materializers.builtin import BUILTIN

    return BUILTIN


@hookimpl
def turnout_observers() -> tuple[Lazy, ...]:
    """Events as lines of JSON."""
    return (Lazy("jsonl", "turnout.observers.jsonl:JsonLines"),)


@hookimpl
def turnout_secret_stores() -> tuple[Lazy, ...]:
    """Secrets from environment variables and from files."""
    return (
        Lazy("env", "turnout.secret_stores.environment:EnvironmentSecrets"),
        Lazy("files", "turnout.secret_stores.files:FileSecrets"),
    )


@hookimpl
def turnout_policies() -> tuple[Lazy, ...]:
    """No pickles, images from allowed places, code that a commit holds."""
    return (
        Lazy("no_pickle", "turnout.policies.no_pickle:NoPickle"),
        Lazy("images", "turnout.policies.images:Images"),
        Lazy("clean_git", "turnout.policies.clean_git:CleanGit"),
    )
