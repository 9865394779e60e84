"""No tracker: what steps log is in their records only."""

from __future__ import annotations

from turnout.components.base import Config
from turnout.components.tracker import Batch, Tracker
from turnout.model.records import RunInfo, RunState


class NoTracker(Tracker[Config]):
    """Takes everything and keeps nothing."""

    name = "none"

    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        return ""

    def log(self, batch: Batch) -> None:
        pass

    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        pass
