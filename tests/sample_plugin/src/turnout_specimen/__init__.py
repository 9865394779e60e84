"""Where the plugin's classes are, to be imported when they are used."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.orchestrator:SpecimenOrchestrator"),)


@hookimpl
def turnout_artifact_stores() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.artifact_store:SpecimenArtifactStore"),)


@hookimpl
def turnout_feature_stores() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.feature_store:SpecimenFeatureStore"),)


@hookimpl
def turnout_deployers() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.deployer:SpecimenDeployer"),)


@hookimpl
def turnout_trackers() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.tracker:SpecimenTracker"),)


@hookimpl
def turnout_materializers() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.materializer:SpecimenMaterializer"),)


@hookimpl
def turnout_observers() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.observer:SpecimenObserver"),)


@hookimpl
def turnout_secret_stores() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.secret_store:SpecimenSecretStore"),)


@hookimpl
def turnout_policies() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.policy:SpecimenPolicy"),)


@hookimpl
def turnout_commands() -> tuple[Lazy, ...]:
    return (Lazy("specimen", "turnout_specimen.command:greet"),)
