"""How the tasks of a DAG file start steps: the template that its file is made by, and how it writes a task."""

from __future__ import annotations

from typing import Any, ClassVar

from turnout.plugin_api import Plan, StepPlan, pysource
from turnout_airflow.settings import FINISH, AirflowSettings


class Launcher:
    """One way to start steps, for one plan.

    ``template`` is the name of the DAG file's template. ``provider`` is what parsing the file takes beside Airflow, and
    the version tried.
    """

    template: ClassVar[str]
    provider: ClassVar[str] = ""

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.gates = any(step.kind == "gate" for step in plan.steps)
        self.maps = any(step.mapped for step in plan.steps)
        self.told = self.maps or self.gates
        """Whether a task is to know what became of its step: how many elements there are, what a condition came to."""
        self.takes_step = True
        """Whether the operator is told its step, which the task is named after."""

    @property
    def slots(self) -> dict[str, Any]:
        """What the template is given of how steps are started: hashable, and the same for many plans."""
        return {
            "finish_id": FINISH,
            "gates": self.gates,
            "interval": any(spec.source.startswith("interval") for spec in self.plan.params),
            "maps": self.maps,
            "max_map_length": self.settings.max_map_length,
            "mount_bundle": self.settings.docker.mount_bundle,
            "python": self.settings.python,
            "takes_step": self.takes_step,
            "told": self.told,
        }

    def task(
        self,
        variable: str,
        step: StepPlan | None,
        about: dict[str, Any],
        given: dict[str, Any],
        over: str | None = None,
    ) -> tuple[pysource.Code, str]:
        """The line that makes a task: the call of its operator, and what follows it.

        Args:
            step: None for the end of the run.
            about: Airflow's own arguments of the task, its id first.
            given: those of the operator.
            over: the variable of the task whose list a mapped task is expanded over.
        """
        operator = "Decide" if step is not None and step.kind == "gate" else "RunStep"
        taken, own = given if self.takes_step else {}, {} if step is None else self.own(step)
        every = {"task_id": about["task_id"], **taken, **own, **about}
        if over is None:
            return pysource.call(f"{variable} = {operator}", **every), ""
        return pysource.call(f"{variable} = {operator}.partial", **every), f".expand(index={over}.output)"

    def own(self, step: StepPlan) -> dict[str, Any]:
        """The operator's arguments of a step of its own."""
        return {}
