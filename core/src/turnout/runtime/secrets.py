"""A worker's secret store: made from its settings, which hold no secrets themselves."""

from __future__ import annotations

import os
from typing import Any

from turnout.base.errors import ConfigError
from turnout.components.kinds import SECRET_STORE
from turnout.components.registry import Registry
from turnout.components.secret_store import SecretStore
from turnout.model.plan import Component
from turnout.stack.bind import instantiate
from turnout.stack.references import resolve_worker


def open_secret_store(settings: Component, registry: Registry) -> SecretStore[Any]:
    """The secret store of these settings.

    Raises:
        ConfigError: when they are wrong, or a variable they refer to is not set here.
        PluginError: when a store of that type is not installed here.
    """
    config, _ = resolve_worker(settings.config, os.environ, _no_secret)
    return instantiate(registry, SECRET_STORE, settings.type, config)


def _no_secret(name: str) -> str:
    raise ConfigError(
        f"the secret store's own settings refer to the secret {name!r}",
        fix="use ${worker-env:NAME} there",
    )
