"""No deployer: asking to serve is an error that says what to add."""

from __future__ import annotations

from typing import Any, NoReturn

from turnout.base.errors import ConfigError
from turnout.components.base import Config
from turnout.components.deployer import Deployer, EndpointStatus
from turnout.components.orchestrator import Bundle


class NoDeployer(Deployer[Config]):
    """Refuses every call."""

    name = "none"

    def compile(self, endpoint: Any) -> Bundle:
        _refuse()

    def deploy(self, endpoint: Any, bundle: Bundle) -> EndpointStatus:
        _refuse()

    def status(self, name: str) -> EndpointStatus:
        _refuse()

    def predict(self, name: str, rows: list[dict[str, Any]]) -> list[Any]:
        _refuse()

    def delete(self, name: str) -> None:
        _refuse()


def _refuse() -> NoReturn:
    raise ConfigError(
        "an endpoint is to be served, but the stack has no deployer",
        fix="choose one in the stack file, for example `deployer: {type: seldon}`",
    )
