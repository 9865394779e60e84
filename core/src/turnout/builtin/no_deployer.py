"""No deployer: asking to serve is an error that says what to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from turnout.base.errors import ConfigError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config
from turnout.components.deployer import Deployer, EndpointStatus
from turnout.components.orchestrator import Bundle
from turnout.model.endpoint_plan import EndpointPlan


class NoDeployer(Deployer[Config]):
    """Refuses every call."""

    name = "none"

    def compile(self, endpoint: EndpointPlan) -> Bundle:
        _refuse()

    def deploy(
        self, endpoint: EndpointPlan, bundle: Bundle, store: ArtifactStore[Any], *, share: float = 1.0
    ) -> EndpointStatus:
        _refuse()

    def list(self) -> tuple[EndpointStatus, ...]:
        return ()

    def status(self, name: str) -> EndpointStatus:
        _refuse()

    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        _refuse()

    def delete(self, name: str) -> None:
        _refuse()


def _refuse() -> NoReturn:
    raise ConfigError(
        "an endpoint is to be served, but the stack has no deployer",
        fix="choose one in the stack file, for example `deployer: {type: local}`",
    )
