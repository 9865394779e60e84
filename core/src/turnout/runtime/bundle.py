"""A bundle on a worker: where an engine carries plan and code itself, they are put into the store from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turnout.components.artifact_store import ArtifactStore


def upload(folder: Path, store: ArtifactStore[Any]) -> None:
    """Create the plan and the code package of a bundle folder in the store, unless they are there.

    The folder is laid out as the store is: ``plans/<digest>.json`` and ``code/<digest>/code.zip``.
    """
    for pattern in ("code/*/*", "plans/*.json"):
        for path in sorted(folder.glob(pattern)):
            store.create(path.relative_to(folder).as_posix(), path.read_bytes())
