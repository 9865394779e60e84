"""Keys of objects: what every store takes, and what every store refuses."""

from __future__ import annotations

import re

from turnout.base.errors import ArtifactError

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*\Z")
"""Most keys, found good at once."""
_BAD = re.compile(
    r"(?:^|/)\.{0,2}(?:/|\Z)"  # an empty part, '.' or '..'
    r"|^\."  # the store's own, such as .staging
    r"|[\x00-\x1f\x7f\ud800-\udfff]"  # control characters and bytes that are no UTF-8
)


def check(key: str) -> None:
    """Refuse a key that could leave the root, or that some store could not hold.

    Raises:
        ArtifactError: when a part is empty, ``.`` or ``..``, when the key starts with a dot or a slash, or
            holds a control character.
    """
    if not _PLAIN.match(key) and _BAD.search(key):
        raise ArtifactError(
            f"the key {key!r} cannot be used in an artifact store",
            why="a part is empty, '.' or '..', it starts with a dot, or it holds a control character",
            fix="rename the file or folder it comes from",
        )


def check_prefix(prefix: str) -> None:
    """Refuse a folder that :func:`check` would refuse; the empty prefix is the root."""
    if prefix:
        check(prefix)
