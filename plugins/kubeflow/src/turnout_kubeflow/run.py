"""A run on a server of Kubeflow Pipelines, as who submitted it follows it."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import Plan, PolledRun, RunState, Watcher
from turnout_kubeflow.remote import RUNS, Server


class KubeflowRun(PolledRun):
    """A run on a server: its records tell of its steps."""

    def __init__(
        self, plan: Plan, engine_run: str, server: Server, store: Any, interval: float, watch: Watcher
    ) -> None:
        super().__init__(plan, engine_run, store, watch, interval)
        self.url = f"{server.page(RUNS)}{engine_run}"
        self._server = server

    def poll(self) -> RunState:
        return self._server.state(self.engine_run)

    def stop(self) -> bool:
        going = self._server.state(self.engine_run) == "running"
        if going:
            self._server.stop(self.engine_run)
        return going
