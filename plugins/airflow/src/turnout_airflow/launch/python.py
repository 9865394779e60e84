"""Steps in processes: an operator that starts an interpreter on the task's worker."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import StepPlan
from turnout_airflow.launch.base import Kind, Launcher

AIRFLOWS = "AIRFLOW__"
"""What the names of variables begin with that hold Airflow's own settings."""


class PythonLauncher(Launcher):
    """A process of an interpreter, on the worker of the task."""

    template = "python.jinja"
    bases = "CallRuntime, BaseOperator"

    @property
    def slots(self) -> dict[str, Any]:
        """And which of Airflow's own variables the process gets: those that the stack lists, and that steps declare."""
        declared = (name for step in self.plan.steps for name in step.env if name.startswith(AIRFLOWS))
        return {**super().slots, "passed": tuple(sorted({*declared, *self.settings.variables}))}

    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """The call that makes a task."""
        return super().task(kind, step, about, given if self.told else {}, elements)
