"""A run on a server of Kubeflow Pipelines, as who submitted it follows it."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import Plan, PolledRun, RunState, Watcher
from turnout_kubeflow.remote import RUNS, Server, page
from turnout_kubeflow.settings import KubeflowSettings


class KubeflowRun(PolledRun):
    """A run on a server: its records tell of its steps."""

    def __init__(
        self, plan: Plan, engine_run: str, server: Server, settings: KubeflowSettings, store: Any, watch: Watcher
    ) -> None:
        super().__init__(plan, engine_run, store, watch, settings.poll)
        self.url = f"{page(settings, RUNS)}{engine_run}"
        self._server = server

    def poll(self) -> RunState:
        return self._server.status(self.engine_run, {}).state

    def stop(self) -> bool:
        going = self.poll() == "running"
        if going:
            self._server.stop(self.engine_run)
        return going
