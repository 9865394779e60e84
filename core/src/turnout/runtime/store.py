"""The store of a worker: the one that ``TURNOUT_STORE`` names, built in or brought by a plugin."""

from __future__ import annotations

import os
from typing import Any

from turnout.components.artifact_store import ArtifactStore
from turnout.registry import discover
from turnout.stores.address import from_environment


def worker_store() -> ArtifactStore[Any]:
    """The store that ``TURNOUT_STORE`` names.

    Raises:
        ConfigError: when the variable is missing or its settings are wrong.
        ArtifactError: when no store takes such a URL.
    """
    return from_environment(os.environ, others=_of_a_plugin)


def _of_a_plugin(wanted: str) -> type[ArtifactStore[Any]] | None:
    stores: tuple[type[ArtifactStore[Any]], ...] = discover().all("artifact_store")
    return next((store for store in stores if wanted == store.name or wanted in store.schemes), None)
