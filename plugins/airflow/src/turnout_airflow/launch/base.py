"""How the tasks of a DAG file start steps: what its launcher adds to the file, and how it writes a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from turnout.plugin_api import Plan, StepPlan
from turnout_airflow.settings import AirflowSettings

Kind = Literal["run_step", "decide", "finish_run"]
"""What a task does: run a step, evaluate a condition, mark the end."""

HEAD = '''\
"""The pipeline @NAME of the project @PROJECT as an Airflow DAG, for Airflow 3.3 and newer.

Made by turnout; change the pipeline, not this file. Parsing it takes @PARSING.
@HOW
"""

@IMPORTS

BUNDLE = Path(__file__).parent
PLAN = @PLAN
'''
SUBMISSION = '''\
def submission(run):
    """The parameters of a run, and what else turnout's runtime is told of it."""
    params = dict(run.conf or {})
    options = {
        "at": (run.logical_date or run.run_after).isoformat(),
        "started_by": f"airflow ({run.run_type.value})",
    }
@INTERVAL    options.update(params.pop("turnout.options", {}))
    return json.dumps({"params": params, "options": options})


'''
INTERVAL = """\
    if run.data_interval_start and run.data_interval_end:
        ends = run.data_interval_start, run.data_interval_end
        options["interval"] = [end.isoformat() for end in ends]
"""


class Launcher(ABC):
    """One way to start steps, for one plan.

    ``standard`` and ``others`` are lines of imports, of the standard library and besides ``airflow.sdk``;
    ``sdk`` has the names of that. ``provider`` is what parsing the file takes beside Airflow, and the version tried.
    """

    provider: ClassVar[tuple[str, str]] = ("", "")

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.gates = any(step.kind == "gate" for step in plan.steps)
        self.steps = any(step.kind != "gate" for step in plan.steps)

    @property
    @abstractmethod
    def how(self) -> str:
        """What a task does, in a sentence of two lines."""

    @property
    @abstractmethod
    def standard(self) -> list[str]:
        """Lines of imports of the standard library."""

    @property
    @abstractmethod
    def sdk(self) -> list[str]:
        """Names to import from ``airflow.sdk``."""

    @property
    @abstractmethod
    def others(self) -> list[str]:
        """Further lines of imports."""

    @property
    @abstractmethod
    def constants(self) -> str:
        """Lines after the digest of the plan."""

    @property
    @abstractmethod
    def definitions(self) -> str:
        """The functions or classes by which tasks are made."""

    @abstractmethod
    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """The call that makes a task: the function, its arguments, and what follows it.

        Args:
            step: None for the end of the run.
            about: Airflow's own arguments of the task.
            given: those of the definition.
            elements: the variable of the task whose list a mapped task is expanded over.
        """
