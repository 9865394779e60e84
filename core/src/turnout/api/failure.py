"""The error of a run that did not succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.base.errors import RunError

if TYPE_CHECKING:
    from turnout.api.run import Run


def failed(run: Run, state: str, cause: BaseException | None = None) -> RunError:
    """The error of a run that did not succeed, naming its first failed step."""
    broken = next((summary for summary in run.summaries.values() if summary.failure), None)
    text = f"the run {run.id} of {run.info.pipeline} {'was ' if state == 'cancelled' else ''}{state}"
    failure = broken.failure if broken else None
    why = f"{broken.label}: {failure.message}" if broken and failure else None
    error = RunError(text, why=why, fix=f"see it: turnout runs show {run.id[:8]}")
    error.run = run  # type: ignore[attr-defined]
    error.trace = failure.traceback if failure else ""
    error.__cause__ = cause
    return error
