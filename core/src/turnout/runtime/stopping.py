"""A step that is stopped from outside: asked to end before it is killed, its process puts on record why."""

from __future__ import annotations

import signal
import time
from typing import Any

from turnout.model.plan import StepPlan
from turnout.runtime.session import Session
from turnout.runtime.state import newest_mark


class Stopped(BaseException):
    """Raised where a step is at work when its process is asked to end; no step catches it by mistake."""


def heed(step: StepPlan) -> None:
    """From now on a SIGTERM raises :class:`Stopped`, once: whoever sent it kills the process soon.

    To be called in the main thread. Code that waits inside a library hears of it too late, and leaves no attempt.
    """
    began = time.monotonic()

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        is_late = step.timeout is not None and time.monotonic() - began > 0.9 * step.timeout
        raise Stopped(
            f"{step.name} was stopped at its timeout of {step.timeout:g} seconds"
            if is_late
            else f"{step.name} was stopped by its engine"
        )

    signal.signal(signal.SIGTERM, stop)


def is_wanted(session: Session) -> bool:
    """Whether the run was stopped, or has ended: then its mark tells of the step, and no attempt comes after it."""
    info = session.run.info
    return newest_mark(session.run.store, info.project, info.id).kind in {"cancel", "finish"}
