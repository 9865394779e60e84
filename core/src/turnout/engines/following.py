"""A run as its records show it, for whoever watches: an engine's words for its steps are its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from turnout.components.artifact_store import ArtifactStore
from turnout.components.progress import Change, Watcher
from turnout.model.plan import Plan
from turnout.model.records import Record, RunState
from turnout.runtime.state import newest_mark
from turnout.stores import layout


class Follower:
    """Tells of each step once, when it is committed; at the end of the run also of those that are not."""

    def __init__(self, plan: Plan, run: str, store: ArtifactStore[Any], watch: Watcher) -> None:
        self._plan = plan
        self._folder = layout.steps(plan.project, run)
        self._store = store
        self._watch = watch
        self._told: set[str] = set()
        self._ended = False
        self.begun = False
        """Whether anything is known of any step."""

    def look(self, *, ended: bool = False) -> None:
        """Tell what is new."""
        labels = self._store.children(self._folder)
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

    def _place(self, label: str) -> tuple[str, int | None]:
        """The step and the index that a folder of records is of."""
        if label in self._plan.by_name:
            return label, None
        step, _, index = label.rpartition(".")
        return (step, int(index)) if step in self._plan.by_name and index.isdigit() else ("", None)


def _change(record: Record) -> Change:
    seconds = 0.0
    if record.started and record.ended:
        begun, over = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (record.started, record.ended))
        seconds = (over - begun).total_seconds()
    state = "reused" if record.cached_from or record.reused_from else record.state
    return Change(record.step, record.index, state, seconds=seconds, message=record.reason)


def last_state(store: ArtifactStore[Any], project: str, run: str) -> RunState | None:
    """The state in the newest mark of a run, where that marks an end; else None."""
    newest = newest_mark(store, project, run)
    return newest.mark.state if newest.mark is not None and newest.kind == "finish" else None
