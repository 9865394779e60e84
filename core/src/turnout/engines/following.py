"""A run as its records show it, for whoever watches: an engine's words for its steps are its own."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from typing import Any, ClassVar

import msgspec

from turnout.base import clock, names
from turnout.base.errors import TurnoutError
from turnout.base.identity import run_id
from turnout.components.artifact_store import ArtifactStore
from turnout.components.orchestrator import RunHandle
from turnout.components.progress import Change, Watcher
from turnout.model.plan import Plan
from turnout.model.records import Record, RunState
from turnout.runtime.state import newest_mark
from turnout.stores import layout


class Follower:
    """Tells of each step once, when it is committed; at the end of the run also of those that are not."""

    def __init__(self, plan: Plan, run: str, store: ArtifactStore[Any], watch: Watcher) -> None:
        self._plan = plan
        self._order = {step.name: number for number, step in enumerate(plan.steps)}
        self._folder = layout.steps(plan.project, run)
        self._store = store
        self._watch = watch
        self._told: set[str] = set()
        self._ended = False
        self.begun = False
        """Whether anything is known of any step."""

    def look(self, *, ended: bool = False) -> None:
        """Tell what is new, in the plan's order."""
        labels = sorted(self._store.children(self._folder), key=self._position)
        self.begun = self.begun or bool(labels)
        for label in labels:
            if label in self._told:
                continue
            step, index = self._place(label)
            data = self._store.read(f"{self._folder}/{label}/record.json")
            if data is not None:
                self._tell(label, _change(msgspec.json.decode(data, type=Record)))
            elif ended and step:
                self._tell(label, Change(step, index, "failed"))
        if ended and not self._ended:
            self._ended = True
            begun = {self._place(label)[0] for label in labels}
            for step_plan in self._plan.steps:
                if step_plan.name not in begun and not step_plan.mapped:
                    self._tell(step_plan.name, Change(step_plan.name, None, "blocked"))

    def _tell(self, label: str, change: Change) -> None:
        self._told.add(label)
        self._watch(change)

    def _position(self, label: str) -> tuple[int, int]:
        step, index = self._place(label)
        return self._order.get(step, -1), index or 0

    def _place(self, label: str) -> tuple[str, int | None]:
        """The step and the index that a folder of records is of."""
        step, index = names.place(label)
        return (step, index) if step in self._plan.by_name else ("", None)


def _change(record: Record) -> Change:
    seconds = clock.seconds_between(record.started, record.ended)
    state = "reused" if record.cached_from or record.reused_from else record.state
    return Change(record.step, record.index, state, seconds=seconds, message=record.reason)


def last_state(store: ArtifactStore[Any], project: str, run: str) -> RunState | None:
    """The state in the newest mark of a run, where that marks an end; else None."""
    newest = newest_mark(store, project, run)
    return newest.mark.state if newest.mark is not None and newest.kind == "finish" else None


class PolledRun(RunHandle):
    """A run on an engine that is asked how it goes: a subclass gives :meth:`poll` and :meth:`stop`.

    Whoever watches is told of each step by its records and, beside them, what the engine says by :meth:`tell`.

    Args:
        store: where the run's records are; None: what the engine says is all that is told.
        watch: is told of every change of a step.
        interval: seconds between two looks at the run.
    """

    patience: ClassVar[int] = 0
    """How often in a row the engine may fail to answer before its error ends the following."""

    def __init__(
        self, plan: Plan, engine_run: str, store: ArtifactStore[Any] | None, watch: Watcher, interval: float
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self.plan = plan
        self.store = store
        self._watch = watch
        self._interval = interval
        self._follower = None if store is None else Follower(plan, self.run_id, store, watch)
        self._told: dict[tuple[str, int | None], tuple[str, int]] = {}
        self._due = 0.0
        self._failures = 0
        self._cancelled = False
        self._state: RunState = "running"

    @abstractmethod
    def poll(self) -> RunState:
        """Ask the engine for the run's state; tell by :meth:`tell` what it says of steps.

        Raises:
            TurnoutError: where the engine does not answer.
        """

    @abstractmethod
    def stop(self) -> bool:
        """Ask the engine to stop the run; return whether it was still going on."""

    def wait(self, timeout: float | None = None) -> RunState:
        """The run's state when it has ended, ``running`` when *timeout* seconds are over before.

        The records' word counts where they mark an end, also one that they have got since. A run that the engine calls
        failed after it was stopped from here is ``cancelled``.
        """
        limit = math.inf if timeout is None else time.monotonic() + timeout
        while self._state == "running":
            now = time.monotonic()
            if now >= self._due:
                self._state = self._look()
                self._due = time.monotonic() + self._interval
            elif now >= limit:
                break
            else:
                time.sleep(max(0.0, min(self._due, limit) - now))
        if self._state == "running" or self.store is None:
            return self._state
        return last_state(self.store, self.plan.project, self.run_id) or self._state

    def cancel(self) -> None:
        """Ask the engine to stop the run, unless it has ended."""
        self._cancelled = self.stop() or self._cancelled
        self._due = 0.0

    def tell(self, change: Change) -> None:
        """Tell whoever watches what the engine says of a step, once."""
        word = (change.state, change.number)
        if self._told.get((change.step, change.index)) != word:
            self._told[change.step, change.index] = word
            self._watch(change)

    def _look(self) -> RunState:
        try:
            state = self.poll()
            self._failures = 0
        except TurnoutError:
            self._failures += 1
            if self._failures > self.patience:
                raise
            state = "running"
        if self._cancelled and state == "failed":
            state = "cancelled"
        if self._follower is not None:
            self._follower.look(ended=state != "running")
        return state
