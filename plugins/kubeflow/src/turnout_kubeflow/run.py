"""A run on a server of Kubeflow Pipelines, as who submitted it follows it."""

from __future__ import annotations

import time
from typing import Any

from turnout.plugin_api import Follower, Plan, RunHandle, RunState, Watcher, last_state, run_id
from turnout_kubeflow.remote import RUNS, Server


class KubeflowRun(RunHandle):
    """A run on a server. Its state is what the finish mark in the store says, whatever Kubeflow says."""

    def __init__(
        self, plan: Plan, engine_run: str, server: Server, store: Any, interval: float, watch: Watcher
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self.url = f"{server.page(RUNS)}{engine_run}"
        self._plan = plan
        self._server = server
        self._store = store
        self._interval = interval
        self._due = 0.0
        self._follower = Follower(plan, self.run_id, store, watch)

    def wait(self, timeout: float | None = None) -> RunState:
        limit = None if timeout is None else time.monotonic() + timeout
        while (state := self._look()) == "running":
            now = time.monotonic()
            if limit is not None and now >= limit:
                return "running"
            time.sleep(max(0.0, min(self._due, limit or self._due) - now))
        self._follower.look(ended=True)
        return last_state(self._store, self._plan.project, self.run_id) or state

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
            self._follower.look()
        return state
