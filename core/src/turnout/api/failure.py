"""The error of a run that did not succeed."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from turnout.base.errors import RunError

if TYPE_CHECKING:
    from turnout.api.run import Run

_FRAME = re.compile(r' +File "(?P<file>.+)", line (?P<line>[0-9]+), in ')


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
    error.trace = with_cells(failure.traceback) if failure else ""
    error.__cause__ = cause
    return error


def with_cells(trace: str) -> str:
    """A traceback with the lines of a notebook's cells: the worker had only their code, this process has their text."""
    return "".join(_with_cells(trace.splitlines(keepends=True)))


def _with_cells(lines: list[str]) -> Iterator[str]:
    for line, after in pairwise([*lines, ""]):
        yield line
        frame = _FRAME.match(line)
        if frame and not after.startswith("    "):
            source = linecache.getline(frame["file"], int(frame["line"])).strip()
            if source:
                yield f"    {source}\n"
