"""The contract of trackers: what steps log, in the team's own tool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.components.base import Component, Config, ConfigT
from turnout.records.model import Point, RunInfo, RunState


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt at one step logged since the last batch.

    A point is named by run, step, index, attempt and its sequence: sending it a second time changes nothing.
    ``artifacts`` maps a name to a local file or folder that is there until the call returns.
    """

    run: RunInfo
    external_id: str
    step: str
    index: int | None = None
    attempt: str
    points: tuple[Point, ...] = ()
    params: dict[str, Any] = {}
    artifacts: dict[str, Path] = {}


class TrackerConfig(Config, frozen=True, kw_only=True):
    """The base of the settings of trackers whose team may insist on them: the runtime itself heeds ``required``."""

    required: Annotated[bool, msgspec.Meta(description="Whether a step fails where what it logged cannot be sent.")] = (
        False
    )


class Tracker(Component[ConfigT], ABC):
    """Receives what steps log. Called on workers, from one thread at a time; many workers of a run at once."""

    @abstractmethod
    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        """Create the tool's run, or find it, and return its id there.

        The core elects one worker of a run to call with ``claimed=True`` and stores the id it returns; the
        others are given that id and do not call. Where the elected one died before its id was stored, another
        calls with ``claimed=False``: look for a run of this id before creating one.
        """

    @abstractmethod
    def log(self, batch: Batch) -> None:
        """Send a batch; idempotent."""

    @abstractmethod
    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        """Say how the run ended; may be called again after a later resume."""
