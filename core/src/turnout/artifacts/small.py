"""Small plain values: they live in the record itself, and are checked against their digest like any artifact."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.artifacts.blobs import short
from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.components.materializer import Unfit
from turnout.materializers import plain
from turnout.materializers.paths import refuse_texts
from turnout.model.records import Artifact

LIMIT = 4096
"""A value whose plain form has at most this many bytes lives in the record."""
MATERIALIZERS = ("json", "text", "dataclass", "pydantic")
"""The materializers whose values may."""


def pack(value: Any, kind: str, materializer: str) -> Artifact | None:
    """The value as an artifact that is its own content, or None where it is too large or not plain.

    Raises:
        ArtifactError: when it holds the path of a temporary file as a text.
    """
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset, range)) and len(value) > LIMIT:
        return None
    try:
        tree = plain.lower(value)
    except (Unfit, RecursionError):
        return None
    data = canonical.encode(tree)
    if len(data) > LIMIT:
        return None
    refuse_texts(value, data)
    return Artifact(
        digest=_digest(materializer, kind, data),
        materializer=materializer,
        type=kind,
        size=len(data),
        inline=True,
        value=tree,
    )


def unpack(artifact: Artifact) -> Any:
    """The value of such an artifact, made anew.

    Raises:
        ArtifactError: when it is not what its digest says.
    """
    check(artifact)
    return plain.lift(artifact.value)


def check(artifact: Artifact) -> None:
    """See that such an artifact is what its digest says.

    Raises:
        ArtifactError: when it is not.
    """
    if artifact.digest != _digest(artifact.materializer, artifact.type, canonical.encode(artifact.value)):
        raise ArtifactError(
            f"the value {short(artifact.digest)} is damaged: it is not what its digest says",
            why="its record was changed after it was written",
            fix="`turnout runs invalidate` removes the record, so that the step runs again",
        )


def _digest(materializer: str, kind: str, data: bytes) -> str:
    return canonical.digest(canonical.encode([materializer, kind, msgspec.Raw(data)]))
