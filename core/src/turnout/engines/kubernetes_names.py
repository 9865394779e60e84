"""Names that Kubernetes takes: lower-case letters, digits and single hyphens, each one used once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from turnout.base.canonical import digest

LONGEST = 63
"""Characters of a label of Kubernetes."""


def kubernetes_name(name: str) -> str:
    """A name near *name* that Kubernetes takes, whatever its length; other names may come to the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"
    return plain if plain[0].isalpha() else f"x-{plain}"


class KubernetesNames:
    """Gives each name once: where two come to the same, or one is too long, a part of a digest tells them apart.

    Args:
        taken: names that are never given.
        longest: how many characters a name may have.
        suffixes: what the engine puts behind a name to make names of its own: none of these is given either.
    """

    def __init__(self, taken: Iterable[str] = (), *, longest: int = LONGEST, suffixes: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._longest = longest
        self._suffixes = ("", *suffixes)

    def take(self, name: str) -> str:
        """A valid name for *name* that nothing else has; the same names in the same order give the same."""
        plain = kubernetes_name(name)
        if len(plain) > self._longest or self._clashes(plain):
            plain = self._told_apart(plain, name)
        while self._clashes(plain):
            plain = self._told_apart(plain, plain)
        self._taken.update(f"{plain}{suffix}" for suffix in self._suffixes)
        return plain

    def _told_apart(self, plain: str, by: str) -> str:
        return f"{plain[: self._longest - 9].rstrip('-')}-{digest(by.encode())[:8]}"

    def _clashes(self, plain: str) -> bool:
        return any(f"{plain}{suffix}" in self._taken for suffix in self._suffixes)
