"""A run as its records show it, for whoever watches: Kubeflow is not asked, whose words for it are its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from turnout.plugin_api import Change, Plan, Record, Watcher


class Records:
    """Tells of each step once, when it is committed; at the end of the run also of those that are not."""

    def __init__(self, plan: Plan, run: str, store: Any, watch: Watcher) -> None:
        self._plan = plan
        self._folder = f"{plan.project}/runs/{run}/steps"
        self._store = store
        self._watch = watch
        self._told: set[str] = set()
        self._ended = False

    def look(self, *, ended: bool = False) -> None:
        """Tell what is new."""
        found = self._store.children(self._folder)
        for name in found:
            if name in self._told:
                continue
            step, index = self._place(name)
            data = self._store.read(f"{self._folder}/{name}/record.json")
            if data is not None:
                self._tell(name, _change(msgspec.json.decode(data, type=Record)))
            elif ended and step:
                self._tell(name, Change(step, index, "failed"))
        if ended and not self._ended:
            self._ended = True
            begun = {self._place(name)[0] for name in found}
            for one in self._plan.steps:
                if one.name not in begun and not one.mapped:
                    self._tell(one.name, Change(one.name, None, "blocked"))

    def _tell(self, name: str, change: Change) -> None:
        self._told.add(name)
        self._watch(change)

    def _place(self, name: str) -> tuple[str, int | None]:
        """The step and the index that a folder is of."""
        if name in self._plan.by_name:
            return name, None
        step, _, index = name.rpartition(".")
        return (step, int(index)) if step in self._plan.by_name and index.isdigit() else ("", None)


def _change(record: Record) -> Change:
    seconds = 0.0
    if record.started and record.ended:
        begun, over = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (record.started, record.ended))
        seconds = (over - begun).total_seconds()
    state = "reused" if record.cached_from or record.reused_from else record.state
    return Change(record.step, record.index, state, seconds=seconds, message=record.reason)
