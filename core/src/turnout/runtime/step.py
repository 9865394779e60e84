"""Running one step: the same on every engine."""

from __future__ import annotations

import sys
import traceback

from turnout.base.errors import RunError, TurnoutError
from turnout.model.records import StepResult
from turnout.runtime.attempt import Attempt
from turnout.runtime.decision import decide, planned, settle
from turnout.runtime.execution import StepFailed, execute
from turnout.runtime.failures import FINAL
from turnout.runtime.resolution import Wait
from turnout.runtime.session import Session


def run_step(session: Session, name: str, index: int | None = None, *, look_up: bool = True) -> StepResult:
    """Run a step, or one element of a mapped step, of the session's run, and commit it.

    A step that is committed already is not run again: its result is returned, ``adopted``. A skip that
    follows from the records is committed. A step whose inputs are not there yet fails, retryable.

    Args:
        index: the element of a mapped step, from 0; None for any other.
        look_up: whether the cache may have it; not where it was looked up before.

    Returns:
        The result. A failure is a result, too: its attempt is on record. ``session.failure`` is then the
        exception (the user's own, where a step raised it).
    """
    session.failure = None
    try:
        decision = decide(session, name, index, look_up=look_up)
        if isinstance(decision, Wait):
            return _waiting(name, decision)
        return settle(session, name, decision) or _attempt(session, name, index)
    except TurnoutError as error:
        session.failure = error
        # a RunError follows from records and options, which do not change
        retryable = not isinstance(error, (*FINAL, RunError))
        return StepResult(state="failed", retryable=retryable, message=session.components.redactor.text(str(error)))
    except Exception as error:  # of a plugin, or a mistake of ours: whoever calls knows no secret to take out of it
        session.failure, redactor = error, session.components.redactor
        print(redactor.text(traceback.format_exc()), file=sys.stderr, flush=True)
        message = redactor.text(f"{type(error).__name__}: {error}")
        return StepResult(state="failed", retryable=True, message=message)


def _attempt(session: Session, name: str, index: int | None) -> StepResult:
    step = planned(session, name, index)
    attempt = Attempt(session, step, index)
    attempt.begin()
    try:
        done = execute(session, step, index, tracked=True)
    except StepFailed as failed:
        return attempt.fail(failed)
    return attempt.succeed(done)


def _waiting(name: str, wait: Wait) -> StepResult:
    shown = ", ".join(wait.on[:5]) + (f" and {len(wait.on) - 5} more" if len(wait.on) > 5 else "")
    return StepResult(
        state="failed",
        retryable=True,
        message=f"{name} cannot run yet: not committed are {shown} (failed, or still to run)",
    )
