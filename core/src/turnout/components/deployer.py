"""The contract of deployers: an endpoint's plan becomes a serving deployment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Component, ConfigT
from turnout.components.orchestrator import Bundle
from turnout.model.capability import Support
from turnout.model.endpoint_plan import EndpointPlan

DeployerCapability = Literal["canary", "promote", "logs", "replicas", "autoscaling"]
"""What a deployer may be able to do beside serving one version."""


class VersionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an endpoint (its plan's digest) and the share of requests it answers, from 0 to 1."""

    version: str
    share: float


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as its tool sees it now.

    ``url`` is where it answers, ``versions`` what answers there, the live one first; ``message`` says why it is not
    ready.
    """

    name: str
    state: Literal["absent", "starting", "ready", "failed"]
    url: str = ""
    versions: tuple[VersionStatus, ...] = ()
    message: str = ""


class Deployer(Component[ConfigT], ABC):
    """Serves endpoints. Every deployer runs the same serving code over the same steps that training used."""

    capabilities: ClassVar[Mapping[DeployerCapability, Support]] = {}
    exported: ClassVar[Mapping[str, str]] = {}
    """The settings that ``compile`` reads, as of an orchestrator: a reference in them to what only a worker or a
    submitter knows is refused, and this says what to do."""
    local: ClassVar[bool] = False
    """Whether endpoints are served on the machine that deploys them."""

    @abstractmethod
    def compile(self, endpoint: EndpointPlan) -> Bundle:
        """The tool's files for an endpoint plan. Pure, as an orchestrator's ``compile`` is."""

    def recompile(self, endpoint: EndpointPlan, exported: Mapping[str, bytes], share: float = 1.0) -> Bundle:
        """The tool's files for an endpoint plan that replace those of an earlier export. Pure, as ``compile`` is.

        Args:
            exported: the files of the earlier export, by their paths; none where there is none.
            share: of the requests, from 0 to 1; less than 1 is a canary beside the live version of *exported*.

        Raises:
            DeployError: when there is no live version, or this deployer's files have no canaries.
        """
        if share < 1:
            raise self._cannot("export a canary of", endpoint.name, fix="deploy one: turnout deploy ENDPOINT --share")
        return self.compile(endpoint)

    def stored(self, endpoint: EndpointPlan) -> Mapping[str, bytes]:
        """Files that the tool itself fetches from the artifact store, by their keys: none, for most. Pure.

        ``turnout export --upload`` puts them there, beside code and artifacts; ``deploy`` has to do so by itself.
        """
        return {}

    @abstractmethod
    def deploy(
        self, endpoint: EndpointPlan, bundle: Bundle, store: ArtifactStore[Any], *, share: float = 1.0
    ) -> EndpointStatus:
        """Create or update the deployment; return when the tool has accepted it.

        A version that replaces another does so without a failed request; one that cannot be started leaves the other
        as it is.

        Args:
            share: of the requests, from 0 to 1; less than 1 is a canary beside the live version.

        Raises:
            DeployError: when the tool refuses it.
        """

    @abstractmethod
    def status(self, name: str) -> EndpointStatus:
        """The deployment's state now."""

    @abstractmethod
    def list(self) -> tuple[EndpointStatus, ...]:
        """All deployments of this deployer, by name."""

    @abstractmethod
    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """One prediction a row, in order, asked of the running deployment.

        Raises:
            DeployError: when it is not ready or refuses the rows.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove the deployment; nothing happens where there is none."""

    def promote(self, name: str) -> EndpointStatus:
        """Let the canary answer everything.

        Raises:
            DeployError: when there is no canary, or this deployer has none.
        """
        raise self._cannot("promote", name)

    def rollback(self, name: str) -> EndpointStatus:
        """Go back: from a canary to the live version alone, else to the version before.

        Raises:
            DeployError: when there is nothing to go back to, or this deployer cannot.
        """
        raise self._cannot("roll back", name)

    def start(self, name: str) -> EndpointStatus:
        """Serve a deployment again whose processes have ended.

        Raises:
            DeployError: when there is none, or this deployer's tool starts its processes itself.
        """
        raise self._cannot("start", name)

    def logs(self, name: str, *, follow: bool = False) -> Iterator[str]:
        """The deployment's log, line by line.

        Args:
            follow: wait for further lines, as long as it is deployed.

        Raises:
            DeployError: when there is none, or this deployer has none.
        """
        raise self._cannot("show the log of", name)

    def _cannot(self, what: str, name: str, fix: str = "use the tool itself") -> Exception:
        from turnout.base.errors import DeployError

        return DeployError(f"the {self.name} deployer cannot {what} {name}", fix=fix)
