"""The store of a worker: the one that ``TURNOUT_STORE`` names, built in or brought by a plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from turnout.components.artifact_store import ArtifactStore
from turnout.components.kinds import ARTIFACT_STORE
from turnout.components.registry import discover
from turnout.model.plan import Component
from turnout.runtime.secrets import open_secret_store
from turnout.stores.address import from_environment


def worker_store(environ: Mapping[str, str] = os.environ) -> ArtifactStore[Any]:
    """The store that ``TURNOUT_STORE`` names.

    Raises:
        ConfigError: when the variable is missing or its settings are wrong.
        ArtifactError: when no store takes such a URL.
    """
    return from_environment(environ, others=_of_a_plugin, secrets=_secrets)


def _secrets(settings: Component) -> Callable[[str], str | None]:
    """Gives secrets by the stack's secret store, which is opened when the first one is needed."""
    return lambda name: open_secret_store(settings, discover()).get(name)


def _of_a_plugin(wanted: str) -> type[ArtifactStore[Any]] | None:
    stores: tuple[type[ArtifactStore[Any]], ...] = discover().all(ARTIFACT_STORE)
    return next((store for store in stores if wanted == store.name or wanted in store.schemes), None)
