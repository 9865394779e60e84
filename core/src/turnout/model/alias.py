"""What an alias names: one setting of it, written once. The newest of an alias counts."""

from __future__ import annotations

import msgspec

from turnout.base import names
from turnout.model.records import FORMAT, Artifact, Count, RunInfo


class Alias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One setting of an alias: who made it name what, and when (ISO 8601, UTC).

    ``index`` is the element's of a mapped step; ``stack`` the stack whose store the artifact was promoted from;
    ``previous`` the digest of what the alias named before. ``removed`` says that it names nothing from now on, and
    that this is what it named last.
    """

    format: int = msgspec.field(default=FORMAT)
    name: str
    number: Count = 0
    time: str
    by: str
    run: RunInfo
    step: str
    index: Count | None = None
    output: str
    artifact: Artifact
    stack: str = ""
    previous: str | None = None
    removed: bool = False

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return names.label(self.step, self.index)
