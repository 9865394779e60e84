"""Following a run in a notebook: its graph under the cell, drawn again as steps change."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from turnout.components.orchestrator import RunHandle
from turnout.components.progress import Change
from turnout.model.drawing import draw
from turnout.model.plan import Plan
from turnout.model.records import RunState

OFTEN = 0.3
"""Seconds between two looks at whether there is something new to draw."""
STATES = {"blocked": "not run", "retrying": "running", "reused": "succeeded"}
"""A state of the engine's changes that is drawn as another."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Picture:
    """The graph of a run under the cell that started it.

    Changes come from the engine's thread and are only noted; :meth:`follow` draws, in the cell's own.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}
        self._elements: dict[str, list[str]] = {}
        self._new = True
        self._display: Any = None

    def __call__(self, change: Change) -> None:
        """Take note of a change."""
        state = STATES.get(change.state, change.state)
        with self._lock:
            if change.index is not None:
                ended = self._elements.setdefault(change.step, [])
                if state in {"succeeded", "skipped", "failed"}:
                    ended.append(state)
                whole = len(ended) == change.total
                state = "running" if not whole else "failed" if "failed" in ended else "succeeded"
            self._new = self._new or self._states.get(change.step) != state
            self._states[change.step] = state

    def follow(self, handle: RunHandle) -> RunState:
        """Wait for the run's end, and draw what changes."""
        while (state := handle.wait(OFTEN)) == "running":
            self._show()
        self._show()
        return state

    def _show(self) -> None:
        with self._lock:
            states, new, self._new = dict(self._states), self._new, False
        if not new:
            return
        screen: Any = importlib.import_module("IPython.display")
        drawn = screen.HTML(draw(self._plan.steps, states))
        if self._display is None:
            self._display = screen.display(drawn, display_id=True)
        else:
            self._display.update(drawn)
