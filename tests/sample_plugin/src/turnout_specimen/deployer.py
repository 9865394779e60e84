"""The deployer ``specimen``: a deployment is a file in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.plugin_api import (
    ArtifactStore,
    BadRequest,
    Bundle,
    Config,
    Deployer,
    DeployError,
    EndpointPlan,
    EndpointStatus,
    LocalPath,
    Service,
    VersionStatus,
    decode_endpoint,
)


class SpecimenSettings(Config, frozen=True):
    """Settings of the deployer ``specimen``."""

    folder: Annotated[LocalPath, msgspec.Meta(description="The folder of deployments.")]


class SpecimenDeployer(Deployer[SpecimenSettings]):
    """Answers in the process that asks, by the code that every deployer serves."""

    name = "specimen"
    Config = SpecimenSettings

    def compile(self, endpoint: EndpointPlan) -> Bundle:
        return Bundle(files={"endpoint.json": endpoint.encode()}, entrypoint="endpoint.json")

    def deploy(
        self, endpoint: EndpointPlan, bundle: Bundle, store: ArtifactStore[Any], *, share: float = 1.0
    ) -> EndpointStatus:
        if share != 1.0:
            raise DeployError(f"a share of {share:g} cannot be given: {self.name} has no canaries")
        path = self._path(endpoint.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bundle.files[bundle.entrypoint])
        path.with_suffix(".store").write_text(json.dumps(store.environment()))
        return self.status(endpoint.name)

    def status(self, name: str) -> EndpointStatus:
        path = self._path(name)
        if not path.exists():
            return EndpointStatus(name=name, state="absent")
        version = VersionStatus(version=self._plan(name).digest, share=1.0)
        return EndpointStatus(name=name, state="ready", url=path.absolute().as_uri(), versions=(version,))

    def list(self) -> tuple[EndpointStatus, ...]:
        return tuple(self.status(path.stem) for path in sorted(Path(self.config.folder).glob("*.json")))

    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        if not self._path(name).exists():
            raise DeployError(f"the endpoint {name} is not deployed", fix="deploy it: turnout deploy")
        store = json.loads(self._path(name).with_suffix(".store").read_text())
        with tempfile.TemporaryDirectory() as work:
            service = Service.open(self._plan(name), store, Path(work))
            try:
                answer: Sequence[Any] = service.predict(rows)
            except BadRequest as refused:
                raise DeployError(f"the endpoint {name} refuses the rows: {refused}") from None
            return answer

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _plan(self, name: str) -> EndpointPlan:
        return decode_endpoint(self._path(name).read_bytes())

    def _path(self, name: str) -> Path:
        return Path(self.config.folder, f"{name}.json")
