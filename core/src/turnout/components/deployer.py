"""The contract of deployers: an endpoint's plan becomes a serving deployment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from turnout.components.base import Component, ConfigT
from turnout.components.orchestrator import Bundle
from turnout.model.capability import Support


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as its tool sees it now; ``url`` is where it answers."""

    name: str
    state: Literal["absent", "starting", "ready", "failed"]
    url: str = ""
    message: str = ""


class Deployer(Component[ConfigT], ABC):
    """Serves endpoints. Every deployer runs the same serving code over the same steps that training used."""

    capabilities: ClassVar[Mapping[str, Support]] = {}

    @abstractmethod
    def compile(self, endpoint: Any) -> Bundle:
        """The tool's files for an endpoint plan. Pure, as an orchestrator's ``compile`` is."""

    @abstractmethod
    def deploy(self, endpoint: Any, bundle: Bundle) -> EndpointStatus:
        """Create or update the deployment; return when the tool has accepted it."""

    @abstractmethod
    def status(self, name: str) -> EndpointStatus:
        """The deployment's state now."""

    @abstractmethod
    def predict(self, name: str, rows: list[dict[str, Any]]) -> list[Any]:
        """One prediction a row, in order, asked of the running deployment.

        Raises:
            DeployError: when it is not ready or refuses the rows.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove the deployment; nothing happens where there is none."""
