"""Default values of pipeline parameters that the engine gives at run time."""

from __future__ import annotations

from typing import Any, Final


class Marker:
    """Stands in for a value that is known when a run starts."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return self.source.upper()


LOGICAL_TIME: Final[Any] = Marker("logical_time")
"""The logical time of the run (an aware ``datetime`` in UTC): the schedule's, the engine's, or ``run --at``."""
INTERVAL_START: Final[Any] = Marker("interval_start")
"""The start of the interval that a scheduled run covers."""
INTERVAL_END: Final[Any] = Marker("interval_end")
"""The end of the interval that a scheduled run covers."""
