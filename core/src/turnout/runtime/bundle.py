"""A bundle on a worker: where an engine carries plan and code itself, they are put into the store from there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from turnout import canonical
from turnout.components.artifact_store import ArtifactStore
from turnout.errors import PlanError
from turnout.stores import layout

ENVIRONMENT = "environment.json"
"""The file of a bundle that says where the store is: variables and their values, a JSON object."""


def enter(folder: Path) -> None:
    """Set the variables that a bundle folder names, but for those this process has already.

    Raises:
        PlanError: when the file is not a JSON object of texts.
    """
    path = folder / ENVIRONMENT
    if not path.exists():
        return
    try:
        given = json.loads(path.read_bytes())
        for name, value in given.items():
            os.environ.setdefault(name, value)
    except (ValueError, AttributeError, TypeError) as error:
        raise PlanError(
            f"{ENVIRONMENT} in the bundle cannot be read: {error}", fix="export the pipeline again"
        ) from error


def upload(folder: Path, store: ArtifactStore[Any]) -> None:
    """Create the plan and the code package of a bundle folder in the store, unless they are there.

    The folder is laid out as the store is: ``plans/<digest>.json`` and ``code/<digest>/code.zip``.

    Raises:
        PlanError: when one of them does not have the digest it is named by.
    """
    for pattern in ("code/*/*", "plans/*.json"):
        for path in sorted(folder.glob(pattern)):
            key, data = path.relative_to(folder).as_posix(), path.read_bytes()
            if key in {layout.plan(path.stem), layout.code(path.parent.name)}:
                _check(key, data)
            if not store.exists(key):
                store.create(key, data)


def _check(key: str, data: bytes) -> None:
    if canonical.digest(data) not in key:
        raise PlanError(
            f"{key} in the bundle is damaged",
            why="its content is not what its digest says",
            fix="export the pipeline again",
        )
