"""How the tasks of a DAG file start steps: what its launcher adds to the file, and how it writes a task."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from turnout.plugin_api import Plan, StepPlan
from turnout_airflow.settings import AirflowSettings
from turnout_airflow.source import arguments

Kind = Literal["run_step", "decide", "finish_run"]
"""What a task does: run a step, evaluate a condition, mark the end."""
_CLASSES: dict[Kind, str] = {"run_step": "RunStep", "decide": "Decide", "finish_run": "FinishRun"}

HEAD = '''\
"""The pipeline @NAME of the project @PROJECT, as a DAG for Airflow @SINCE and newer.

Made by turnout: change the pipeline, not this file. It was checked on Airflow
@CHECKED.
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

    ``standard`` and ``others`` are lines of imports, of the standard library and besides Airflow's SDK;
    ``sdk`` has the names of that. ``provider`` is what parsing the file takes beside Airflow, and the version tried.
    ``bases`` are the classes that the three operators of tasks derive from.
    """

    provider: ClassVar[str] = ""
    bases: ClassVar[tuple[str, ...]] = ("CallRuntime",)

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.gates = any(step.kind == "gate" for step in plan.steps)
        self.steps = any(step.kind != "gate" for step in plan.steps)
        self.maps = any(step.mapped for step in plan.steps)
        self.told = self.maps or self.gates
        """Whether a task is to know what became of its step: how many elements there are, what a condition came to."""

    @property
    @abstractmethod
    def how(self) -> str:
        """What a task does, in a sentence of two lines."""

    @property
    @abstractmethod
    def standard(self) -> list[str]:
        """Lines of imports of the standard library."""

    @property
    def sdk(self) -> list[str]:
        """Names to import from Airflow's SDK."""
        return ["SkipMixin"] if self.gates else []

    @property
    def others(self) -> list[str]:
        """Further lines of imports."""
        return []

    @property
    @abstractmethod
    def constants(self) -> str:
        """Lines after the digest of the plan."""

    @property
    def definitions(self) -> str:
        """The operators by which tasks are made."""
        step = _ELEMENT if self.maps else _STEP
        tasks = "".join([step if self.steps else "", _DECIDE if self.gates else "", _FINISH])
        slots = {"@LIMIT": str(self.settings.max_map_length), "@BASES": ", ".join(self.bases)}
        return self.operator() + re.sub("@[A-Z]+", lambda found: slots[found[0]], tasks)

    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """The call that makes a task: the operator, its arguments, and what follows it.

        Args:
            step: None for the end of the run.
            about: Airflow's own arguments of the task.
            given: those of the operator.
            elements: the variable of the task whose list a mapped task is expanded over.
        """
        name = about.pop("task_id")
        every = {"task_id": name, **given, **({} if step is None else self.own(step)), **about}
        if elements is None:
            return _CLASSES[kind], arguments(every), ""
        return f"{_CLASSES[kind]}.partial", arguments(every), f".expand(index={elements}.output)"

    @abstractmethod
    def operator(self) -> str:
        """The class ``CallRuntime``, which the operators of tasks derive from, as source."""

    def own(self, step: StepPlan) -> dict[str, Any]:
        """The operator's arguments of a step of its own."""
        return {}


_STEP = '''\
class RunStep(@BASES):
    """Run a step."""

    def __init__(self, *, step, **given):
        super().__init__(words=["step", "--step", step], **given, do_xcom_push=False)


'''
_ELEMENT = '''\
class RunStep(@BASES):
    """Run a step, or one element of a mapped one.

    Where its list *count* is mapped over, the indices of that are what it returns.
    """

    def __init__(self, *, step, index=None, count=None, **given):
        element = [] if index is None else ["--index", str(index)]
        given["do_xcom_push"] = count is not None
        super().__init__(words=["step", "--step", step, *element], **given)
        self.count = count

    def execute(self, context):
        outcome = super().execute(context)
        if self.count is None:
            return None
        length = outcome["elements"][self.count]
        if length > @LIMIT:
            raise AirflowFailException(
                f"{length} elements are to be mapped over; Airflow takes @LIMIT at most"
            )
        return list(range(length))


'''
_DECIDE = '''\
class Decide(@BASES, SkipMixin):
    """Evaluate a condition; where it is false, what it guards is skipped."""

    inherits_from_skipmixin = True

    def __init__(self, *, step, **given):
        super().__init__(words=["step", "--step", step], **given, do_xcom_push=True)
        self.step = step

    def execute(self, context):
        value = super().execute(context)["values"][self.step]
        if not value:
            after = context["task"].get_direct_relatives(upstream=False)
            self.skip(context["ti"], [one for one in after if not one.is_teardown])
        return value


'''
_FINISH = '''\
class FinishRun(@BASES):
    """Mark the end of the run, whatever has become of it."""

    def __init__(self, **given):
        super().__init__(words=["finish"], **given, do_xcom_push=False)


'''
