"""Names that Kubeflow takes: lower-case letters, digits and single hyphens, each one used once."""

from __future__ import annotations

import re

from turnout.plugin_api import digest

LONGEST = 56
"""Characters of a task's name: with ``comp-`` before it, it still fits a label of Kubernetes (63)."""
_MADE = ("", "-driver", "-iteration", "-each-iterator")
"""What Kubeflow's back end puts behind a name to make names of its own beside it."""


def valid(name: str) -> str:
    """A name near *name* that Kubeflow takes; other names may come to the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"
    return plain if plain[0].isalpha() else f"x-{plain}"


class Names:
    """Gives each name once: where two come to the same, or one is too long, a part of a digest tells them apart.

    Two come to the same also where Kubeflow's back end would make one of the other: beside the task ``fit`` it makes
    ``fit-driver``.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)

    def take(self, name: str) -> str:
        """A valid name for *name* that nothing else has; the same names in the same order give the same."""
        plain = valid(name)
        if len(plain) > LONGEST or self._meets(plain):
            plain = f"{plain[: LONGEST - 9].rstrip('-')}-{digest(name.encode())[:8]}"
        while self._meets(plain):
            plain = f"{plain[: LONGEST - 9].rstrip('-')}-{digest(plain.encode())[:8]}"
        self._taken.update(f"{plain}{made}" for made in _MADE)
        return plain

    def _meets(self, plain: str) -> bool:
        return any(f"{plain}{made}" in self._taken for made in _MADE)
