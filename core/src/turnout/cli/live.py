"""Following a run: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from turnout.base import names
from turnout.base.texts import shown_line
from turnout.cli.screen import terminal
from turnout.components.progress import Change
from turnout.model.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Self

MARKS = {
    "succeeded": ("✓", "green"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "bold red"),
    "damaged": ("!", "bold red"),
    "not run": ("·", "dim"),
    "running": ("▸", "cyan"),
    "retrying": ("↻", "yellow"),
    "waiting": (" ", "dim"),
}
STATES = {"blocked": "not run"}
"""A state of the engine's changes that is told by another name."""
LONG = 40
"""From this many steps on, the live view shows only those that run or went wrong."""


class PlainView:
    """One line a change, for logs and pipes. Changes come from the engine's thread; what comes early is kept back."""

    def __init__(self, plan: Plan) -> None:
        self._width = max((len(step.name) for step in plan.steps), default=4) + 4
        self._lock = threading.Lock()
        self._early: list[Change] | None = []

    def __enter__(self) -> Self:
        with self._lock:
            early, self._early = self._early or [], None
            for change in early:
                self._print(change)
        return self

    def show_line(self, label: str, line: str) -> None:
        """Print a line that a step printed."""
        with self._lock:
            print(f"{'':8}  {label.ljust(self._width)}| {shown_line(line)}", flush=True)

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, change: Change) -> None:
        """Print a change; of a mapped step, every element's end."""
        with self._lock:
            if self._early is not None:
                self._early.append(change)
            else:
                self._print(change)

    def _print(self, change: Change) -> None:
        if change.state == "running" and (change.index is not None or change.number > 1):
            return
        label = names.label(change.step, change.index)
        parts = [time.strftime("%H:%M:%S"), label.ljust(self._width), STATES.get(change.state, change.state)]
        if change.adopted:
            parts.append("taken over")
        elif change.state in {"succeeded", "failed"}:
            parts.append(f"{change.seconds:.1f} s")
        if change.state == "retrying" and change.seconds:
            parts.append(f"in {change.seconds:g} s")
        if change.message and not change.adopted:
            parts.append(change.message.splitlines()[0])
        print("  ".join(parts), flush=True)


class LiveView:
    """A table that is redrawn in place, and gone at the end, when the summary takes its place.

    Changes come from the engine's thread.
    """

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.live import Live

        self._plan = plan
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}
        self._began: dict[str, float] = {}
        self._elements: dict[str, dict[str, int]] = {}
        self._live = Live(
            console=Console(file=terminal()), get_renderable=self._draw, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show_line(self, label: str, line: str) -> None:
        """Print a line that a step printed, above the table."""
        from rich.text import Text

        text = Text.assemble((f"{label} | ", "dim"), shown_line(line))
        self._live.console.print(text, soft_wrap=True)

    def __call__(self, change: Change) -> None:
        """Take note of a change."""
        with self._lock:
            if change.index is not None:
                counts = self._elements.setdefault(change.step, {})
                if change.state in {"succeeded", "failed", "skipped"}:
                    counts[change.state] = counts.get(change.state, 0) + 1
            if change.state == "running":
                self._began.setdefault(change.step, time.monotonic())
            self._changes[change.step] = change

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        shown = Table(box=None, pad_edge=False, show_header=False)
        shown.add_column(width=1)
        shown.add_column(no_wrap=True)
        shown.add_column(justify="right")
        shown.add_column(overflow="ellipsis", no_wrap=True)
        with self._lock:
            ended = 0
            for step in self._plan.steps:
                state, seconds, note = self._row(step.name, mapped=step.mapped)
                ended += state in {"succeeded", "skipped", "failed", "not run"}
                if len(self._plan.steps) > LONG and state not in {"running", "failed", "retrying"}:
                    continue
                mark, style = MARKS[state]
                shown.add_row(Text(mark, style), Text(step.name, style), seconds, Text(shown_line(note), "dim"))
        if len(self._plan.steps) > LONG:
            shown.add_row("", f"{ended} of {len(self._plan.steps)} steps", "", "")
        return shown

    def _row(self, name: str, *, mapped: bool) -> tuple[str, str, str]:
        change = self._changes.get(name)
        if change is None:
            return "waiting", "", ""
        state = STATES.get(change.state, change.state)
        note = change.message.splitlines()[0] if change.message else ""
        if change.adopted and change.index is None:
            return state, "", "taken over"
        if mapped and change.index is not None:
            counts = self._elements.get(name, {})
            done = sum(counts.values())
            whole = done == change.total
            state = ("failed" if counts.get("failed") else "succeeded") if whole else "running"
            note = f"{done}/{change.total}" + (f", {counts['failed']} failed" if counts.get("failed") else "")
        if state == "running":
            return state, f"{time.monotonic() - self._began.get(name, time.monotonic()):.0f} s", note
        took = time.monotonic() - self._began[name] if mapped and name in self._began else change.seconds
        if mapped and state == "succeeded":
            took = self._freeze(name, took)
        return state, f"{took:.1f} s" if state in {"succeeded", "failed"} else "", note

    def _freeze(self, name: str, took: float) -> float:
        """The time a mapped step took as a whole, from when it was first seen complete."""
        key = f"{name} took"
        return self._began.setdefault(key, took)


def view(plan: Plan) -> PlainView | LiveView:
    """The view that suits where standard output goes."""
    return LiveView(plan) if sys.stdout.isatty() else PlainView(plan)
