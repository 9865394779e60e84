"""What ``python -m turnout.runtime serve`` and the engine that keeps it warm say to each other, a JSON line each."""

from __future__ import annotations

import msgspec

from turnout import __version__
from turnout.base import names
from turnout.model.records import StepResult

FORMAT = 1
"""The version of the protocol."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the answers. ``failure`` says why there will be no other."""

    format: int = FORMAT
    turnout: str = __version__
    failure: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Run a step, or one element of a mapped step.

    ``log`` is a file for what it prints (in ``TURNOUT_LOGS`` where it is not given); ``timeout`` the seconds it has.
    """

    id: int
    step: str
    index: int | None = None
    log: str = ""
    timeout: float | None = None

    @property
    def label(self) -> str:
        """``step`` or ``step.index``."""
        return names.label(self.step, self.index)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the request of that id."""

    id: int
    result: StepResult
