"""The contract of observers: told of the events of runs and steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import msgspec

from turnout.components.base import Component, ConfigT

EventKind = Literal["run_started", "step_started", "step_succeeded", "step_skipped", "step_failed", "run_finished"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened. ``time`` is ISO 8601 in UTC; ``seconds`` how long a step or run took."""

    kind: EventKind
    time: str
    project: str
    pipeline: str
    run: str
    engine_run: str = ""
    step: str | None = None
    index: int | None = None
    attempt: str | None = None
    state: str = ""
    seconds: float | None = None
    message: str = ""
    inputs: dict[str, tuple[str, ...]] = {}
    outputs: dict[str, tuple[str, ...]] = {}


class Observer(Component[ConfigT], ABC):
    """Told of events on the worker on which they happen; order holds within one step only.

    An exception of an observer is reported and does not fail the step.
    """

    @abstractmethod
    def notify(self, event: Event) -> None:
        """Take note of an event; return soon."""
