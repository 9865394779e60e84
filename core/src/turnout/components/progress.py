"""What an orchestrator tells whoever watches a run live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

StepState = Literal["running", "succeeded", "skipped", "failed", "retrying", "blocked", "reused"]


class Change(msgspec.Struct, frozen=True):
    """A step, or an element of a mapped step, has changed its state.

    ``seconds`` is how long the attempt took, or for ``retrying`` the time until the next one (0: not known); ``number``
    counts attempts from 1; ``total`` is the count of elements where *index* is None and the step is mapped;
    ``adopted`` says that it was committed before and nothing ran.
    """

    step: str
    index: int | None
    state: StepState
    seconds: float = 0.0
    message: str = ""
    number: int = 1
    total: int | None = None
    adopted: bool = False


Watcher = Callable[[Change], None]


def ignore(change: Change) -> None:
    """Watch nothing."""
    del change
