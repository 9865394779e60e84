"""The hooks: each returns its classes, imported when turnout asks for them."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[type[Any], ...]:
    from turnout_specimen.orchestrator import SpecimenOrchestrator

    return (SpecimenOrchestrator,)


@hookimpl
def turnout_artifact_stores() -> tuple[type[Any], ...]:
    from turnout_specimen.artifact_store import SpecimenArtifactStore

    return (SpecimenArtifactStore,)


@hookimpl
def turnout_feature_stores() -> tuple[type[Any], ...]:
    from turnout_specimen.feature_store import SpecimenFeatureStore

    return (SpecimenFeatureStore,)


@hookimpl
def turnout_deployers() -> tuple[type[Any], ...]:
    from turnout_specimen.deployer import SpecimenDeployer

    return (SpecimenDeployer,)


@hookimpl
def turnout_trackers() -> tuple[type[Any], ...]:
    from turnout_specimen.tracker import SpecimenTracker

    return (SpecimenTracker,)


@hookimpl
def turnout_materializers() -> tuple[type[Any], ...]:
    from turnout_specimen.materializer import SpecimenMaterializer

    return (SpecimenMaterializer,)


@hookimpl
def turnout_observers() -> tuple[type[Any], ...]:
    from turnout_specimen.observer import SpecimenObserver

    return (SpecimenObserver,)


@hookimpl
def turnout_secret_stores() -> tuple[type[Any], ...]:
    from turnout_specimen.secret_store import SpecimenSecretStore

    return (SpecimenSecretStore,)


@hookimpl
def turnout_policies() -> tuple[type[Any], ...]:
    from turnout_specimen.policy import SpecimenPolicy

    return (SpecimenPolicy,)


@hookimpl
def turnout_commands() -> tuple[Any, ...]:
    from turnout_specimen.command import specimen

    return (specimen,)
