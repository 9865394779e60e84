"""A run on a server of Kubeflow Pipelines, as who submitted it follows it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from turnout.plugin_api import FinishMark, Plan, RunHandle, RunState, Watcher, run_id
from turnout_kubeflow.remote import RUNS, Server
from turnout_kubeflow.watching import Records


class KubeflowRun(RunHandle):
    """A run on a server. Its state is what the finish mark in the store says, whatever Kubeflow says."""

    def __init__(
        self, plan: Plan, engine_run: str, server: Server, store: Any, interval: float, watch: Watcher
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self.url = f"{server.page(RUNS)}{engine_run}"
        self._marks = f"{plan.project}/runs/{self.run_id}/finish"
        self._server = server
        self._store = store
        self._interval = interval
        self._due = 0.0
        self._records = Records(plan, self.run_id, store, watch)

    def wait(self, timeout: float | None = None) -> RunState:
        limit = None if timeout is None else time.monotonic() + timeout
        while (state := self._look()) == "running":
            now = time.monotonic()
            if limit is not None and now >= limit:
                return "running"
            time.sleep(max(0.0, min(self._due, limit or self._due) - now))
        self._records.look(ended=True)
        marked = last_mark(self._store, self._marks)
        if marked is not None:
            return marked
        return "unknown" if state == "succeeded" else state

    def cancel(self) -> None:
        if self._server.state(self.engine_run) == "running":
            self._server.stop(self.engine_run)
        self._due = 0.0

    def _look(self) -> RunState:
        """What Kubeflow says of the run, which is asked once an interval; ``running`` in between."""
        if time.monotonic() < self._due:
            return "running"
        state = self._server.state(self.engine_run)
        if state == "running":
            self._due = time.monotonic() + self._interval
            self._records.look()
        return state


def last_mark(store: Any, folder: str) -> RunState | None:
    """The state in the newest finish mark of a run, or None where there is none."""
    numbers = sorted(int(name.removesuffix(".json")) for name in store.children(folder))
    data = store.read(f"{folder}/{numbers[-1]}.json") if numbers else None
    return None if data is None else msgspec.json.decode(data, type=FinishMark).state
