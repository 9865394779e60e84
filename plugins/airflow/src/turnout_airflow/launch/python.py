"""Steps in processes: an operator that starts an interpreter on the task's worker."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import Plan
from turnout_airflow.launch.base import Launcher
from turnout_airflow.settings import AirflowSettings

AIRFLOWS = "AIRFLOW__"
"""What the names of variables begin with that hold Airflow's own settings."""


class PythonLauncher(Launcher):
    """A process of an interpreter, on the worker of the task."""

    template = "python.jinja"

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        super().__init__(plan, settings)
        self.takes_step = self.told

    @property
    def slots(self) -> dict[str, Any]:
        """And which of Airflow's own variables the process gets: those that the stack lists, and that steps declare."""
        declared = (name for step in self.plan.steps for name in step.env if name.startswith(AIRFLOWS))
        return {**super().slots, "passed": tuple(sorted({*declared, *self.settings.variables}))}
