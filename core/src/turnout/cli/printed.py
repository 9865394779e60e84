"""What steps print, shown while a run is followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from turnout.api.log_tail import LogTail
from turnout.base.texts import shown_line
from turnout.components.artifact_store import ArtifactStore
from turnout.components.orchestrator import Orchestrator, RunHandle
from turnout.components.progress import Change
from turnout.model.plan import Plan

_SHARE = 4
"""A look at the logs is followed by so many times its own length without one: some engines are slow to answer."""


class Printed:
    """Shows what the steps of a run print, each step's last lines before its end is told.

    Args:
        view: shows lines and changes; None: lines go to standard error, as standard output is for a program.
    """

    def __init__(
        self, orchestrator: Orchestrator[Any], plan: Plan, store: ArtifactStore[Any], view: Any = None
    ) -> None:
        self._orchestrator = orchestrator
        self._plan = plan
        self._store = store
        self._view = view
        self._tail: LogTail | None = None
        self._due = 0.0

    def __call__(self, change: Change) -> None:
        """Show what a step has printed before its end, and then the change."""
        if self._tail is not None and not change.adopted and change.state in {"succeeded", "failed", "retrying"}:
            self._tail.read(change.step, change.index)
        if self._view is not None:
            self._view(change)

    @contextmanager
    def following(self, handle: RunHandle) -> Iterator[None]:
        """While it lasts, a run that was submitted is followed; in the end, all that was printed has been shown."""
        show: Callable[[str, str], None] = to_stderr if self._view is None else self._view.show_line
        self._tail = tail = LogTail(self._orchestrator, self._plan, handle.run_id, handle.engine_run, self._store, show)
        yield
        tail.look(ended=True)
        if tail.problem is not None:
            click.echo(f"note: {tail.problem}", err=True)

    def look(self) -> None:
        """Show what is new, unless the last look was just now."""
        began = time.monotonic()
        if self._tail is not None and began >= self._due:
            self._tail.look()
            self._due = time.monotonic() + _SHARE * (time.monotonic() - began)


def to_stderr(label: str, line: str) -> None:
    """Show a line of a step on standard error."""
    click.echo(f"{label} | {shown_line(line)}", err=True)
