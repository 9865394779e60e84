"""The secret store ``specimen``: names and values in one JSON file. Replace the file by calls of your tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec

from turnout.plugin_api import Config, ConfigError, SecretStore


class SpecimenSettings(Config, frozen=True):
    """Settings of the secret store ``specimen``."""

    file: Annotated[str, msgspec.Meta(description="The file on the worker: a JSON object of names and values.")]


class SpecimenSecretStore(SecretStore[SpecimenSettings]):
    """Reads the file anew for each secret, so that a changed one counts at once."""

    name = "specimen"
    Config = SpecimenSettings

    def get(self, name: str) -> str | None:
        path = Path(self.config.file)
        if not path.exists():
            return None
        try:
            secrets: dict[str, str] = json.loads(path.read_bytes())
        except ValueError:  # its text would show what the file holds
            raise ConfigError(f"the secrets file {path} is not JSON", fix="write a JSON object of texts") from None
        return secrets.get(name)

    def hint(self, name: str) -> str:
        return f"the key {name!r} of {self.config.file}"
