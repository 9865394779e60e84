"""The error of a run that did not succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.base.errors import RunError

if TYPE_CHECKING:
    from turnout.api.run import Run


def failed(run: Run, state: str, cause: BaseException | None = None) -> RunError:
    """The error of a run that did not succeed, naming its first failed step."""
    uncommitted = (summary for summary in run.summaries.values() if summary.record is None)
    broken = [summary for summary in uncommitted if summary.attempts and summary.attempts[-1].failure]
    text = f"the run {run.id} of {run.info.pipeline} {'was ' if state == 'cancelled' else ''}{state}"
    why = None
    failure = broken[0].attempts[-1].failure if broken else None
    if broken:
        why = f"{broken[0].label}: {failure.message if failure else 'no reason on record'}"
    error = RunError(text, why=why, fix=f"see it: turnout runs show {run.id[:8]}")
    error.run = run  # type: ignore[attr-defined]
    error.trace = failure.traceback if failure else ""
    error.__cause__ = cause
    return error
