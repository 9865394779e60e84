"""The tags by which what is ours is found in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from turnout.plugin_api import Registered

RUN, STEP, STATE = "turnout.run", "turnout.step", "turnout.state"
"""Of a run, of a step's nested run, and how a run ended."""
UNSAVED = "turnout.unsaved"
"""Of a run, with the name of a model after it: why MLflow could not save that."""
INDEX, OUTPUT, DIGEST = "turnout.index", "turnout.output", "turnout.digest"
"""Of a model, with ``turnout.run`` and ``turnout.step``: which output it is."""


class Origin(NamedTuple):
    """The output of ours that a model is."""

    run: str
    step: str
    element: int | None
    output: str
    digest: str

    def tags(self) -> dict[str, str]:
        """The tags that say so."""
        index = {} if self.element is None else {INDEX: str(self.element)}
        return {RUN: self.run, STEP: self.step, OUTPUT: self.output, DIGEST: self.digest, **index}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Origin | None:
        """What tags say; None where they are not ours."""
        if not {RUN, STEP, OUTPUT, DIGEST} <= tags.keys():
            return None
        element = int(tags[INDEX]) if INDEX in tags else None
        return cls(tags[RUN], tags[STEP], element, tags[OUTPUT], tags[DIGEST])

    def registered(self, name: str) -> Registered:
        """The same, as the registry has it under a name of its own."""
        return Registered(
            name=name, run=self.run, step=self.step, index=self.element, output=self.output, digest=self.digest
        )
