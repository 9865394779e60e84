"""Secrets from environment variables."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from turnout.components.base import Config
from turnout.components.secret_store import SecretStore


class EnvironmentSettings(Config, frozen=True):
    """Settings of the secret store ``env``."""

    prefix: Annotated[str, msgspec.Meta(description="What the variables' names start with, before the secret's.")] = ""


class EnvironmentSecrets(SecretStore[EnvironmentSettings]):
    """The secret ``db`` is the value of the variable of that exact name, after the prefix. An empty one counts."""

    name = "env"
    Config = EnvironmentSettings

    def get(self, name: str) -> str | None:
        return os.environ.get(self.config.prefix + name) if "\0" not in name and "=" not in name else None

    def hint(self, name: str) -> str:
        return f"the environment variable {self.config.prefix}{name}"
