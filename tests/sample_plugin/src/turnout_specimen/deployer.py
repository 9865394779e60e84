"""The deployer ``specimen``: a deployment is a file in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.plugin_api import Bundle, Config, Deployer, DeployError, EndpointStatus, LocalPath, pretty


class SpecimenSettings(Config, frozen=True):
    """Settings of the deployer ``specimen``."""

    folder: Annotated[LocalPath, msgspec.Meta(description="The folder of deployments.")]


class SpecimenDeployer(Deployer[SpecimenSettings]):
    """Serves endpoints of the form ``{"name": …, "input": …, "factor": …}``: a number times the factor."""

    name = "specimen"
    Config = SpecimenSettings

    def compile(self, endpoint: Any) -> Bundle:
        return Bundle(files={"endpoint.json": pretty(endpoint)}, entrypoint="endpoint.json")

    def deploy(self, endpoint: Any, bundle: Bundle) -> EndpointStatus:
        path = self._path(endpoint["name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bundle.files[bundle.entrypoint])
        return self.status(endpoint["name"])

    def status(self, name: str) -> EndpointStatus:
        path = self._path(name)
        if not path.exists():
            return EndpointStatus(name=name, state="absent")
        return EndpointStatus(name=name, state="ready", url=path.absolute().as_uri())

    def predict(self, name: str, rows: list[dict[str, Any]]) -> list[Any]:
        path = self._path(name)
        if not path.exists():
            raise DeployError(f"the endpoint {name} is not deployed", fix="deploy it: turnout deploy")
        endpoint = json.loads(path.read_bytes())
        field = endpoint["input"]
        for number, row in enumerate(rows):
            if not isinstance(row.get(field), (int, float)):
                raise DeployError(f"row {number} of the request to {name} has no number {field!r}", fix="give it one")
        return [row[field] * endpoint["factor"] for row in rows]

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(self.config.folder, f"{name}.json")
