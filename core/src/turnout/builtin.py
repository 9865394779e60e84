"""The components that come with turnout, brought by the same hooks as anyone's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from turnout.hookspecs import hookimpl

if TYPE_CHECKING:
    from turnout.components.artifact_store import ArtifactStore
    from turnout.components.deployer import Deployer
    from turnout.components.feature_store import FeatureStore
    from turnout.components.materializer import Materializer
    from turnout.components.observer import Observer
    from turnout.components.orchestrator import Orchestrator
    from turnout.components.policy import Policy
    from turnout.components.secret_store import SecretStore
    from turnout.components.tracker import Tracker


@hookimpl
def turnout_orchestrators() -> tuple[type[Orchestrator[Any]], ...]:
    """The orchestrator of this machine."""
    from turnout.local.orchestrator import LocalOrchestrator

    return (LocalOrchestrator,)


@hookimpl
def turnout_artifact_stores() -> tuple[type[ArtifactStore[Any]], ...]:
    """A folder, and the object stores of the clouds."""
    from turnout.stores.cloud import CloudStore
    from turnout.stores.local import LocalStore

    return LocalStore, CloudStore


@hookimpl
def turnout_feature_stores() -> tuple[type[FeatureStore[Any]], ...]:
    """No feature store, and a folder of Parquet files."""
    from turnout.feature_stores.local import LocalFeatureStore
    from turnout.feature_stores.none import NoFeatureStore

    return NoFeatureStore, LocalFeatureStore


@hookimpl
def turnout_deployers() -> tuple[type[Deployer[Any]], ...]:
    """No deployer."""
    from turnout.deployers.none import NoDeployer

    return (NoDeployer,)


@hookimpl
def turnout_trackers() -> tuple[type[Tracker[Any]], ...]:
    """No tracker."""
    from turnout.trackers.none import NoTracker

    return (NoTracker,)


@hookimpl
def turnout_materializers() -> tuple[type[Materializer], ...]:
    """What turnout writes and reads by itself."""
    from turnout.materializers.builtin import BUILTIN

    return BUILTIN


@hookimpl
def turnout_observers() -> tuple[type[Observer[Any]], ...]:
    """Events as lines of JSON."""
    from turnout.observers.jsonl import JsonLines

    return (JsonLines,)


@hookimpl
def turnout_secret_stores() -> tuple[type[SecretStore[Any]], ...]:
    """Secrets from environment variables and from files."""
    from turnout.secret_stores.environment import EnvironmentSecrets
    from turnout.secret_stores.files import FileSecrets

    return EnvironmentSecrets, FileSecrets


@hookimpl
def turnout_policies() -> tuple[type[Policy[Any]], ...]:
    """No pickles, images from allowed places, code that a commit holds."""
    from turnout.policies.clean_git import CleanGit
    from turnout.policies.images import Images
    from turnout.policies.no_pickle import NoPickle

    return NoPickle, Images, CleanGit
