"""Steps in containers: what Docker and Kubernetes have in common, operators over one that calls the runtime."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Any, ClassVar

from turnout.plugin_api import ConfigError, Plan, StepPlan
from turnout_airflow.container_settings import IMAGE
from turnout_airflow.launch.base import Kind, Launcher
from turnout_airflow.settings import AirflowSettings, TaskOptions, task_options
from turnout_airflow.source import arguments, mapping

_CLASSES: dict[Kind, str] = {"run_step": "RunStep", "decide": "Decide", "finish_run": "FinishRun"}


class ContainerLauncher(Launcher):
    """What containers and pods have in common: the image, and three operators over one that calls the runtime.

    Raises:
        ConfigError: for a step without an image, or with a strange one.
    """

    common: ClassVar[str]
    """The name of the dictionary of what all tasks are given."""

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        super().__init__(plan, settings)
        without = [step.name for step in plan.steps if not step.image]
        if without and not settings.image:
            raise ConfigError(
                f"the step {without[0]} has no image, and the stack launches steps by {settings.launch}",
                fix='set orchestrator: {image: …}, or steps: {"…": {image: …}}; it must have turnout',
            )
        strange = [step for step in plan.steps if not re.match(IMAGE, step.image or "")]
        if strange:
            raise ConfigError(
                f"the step {strange[0].name} has the image {strange[0].image!r}, which is not the name of one",
                fix="write it as registries do: host/name:tag, or name@sha256:…",
            )
        self._image = settings.image or plan.steps[0].image or ""

    @property
    def standard(self) -> list[str]:
        """What reading the outcome takes."""
        return ["import json", "from pathlib import Path"]

    @property
    def sdk(self) -> list[str]:
        """What skipping takes."""
        return ["SkipMixin"] if self.gates else []

    @property
    def constants(self) -> str:
        """What all tasks are given."""
        return f"{self.common} = {mapping({**self._common(), 'skip_on_exit_code': 99})}\n"

    @property
    def definitions(self) -> str:
        """Operators."""
        return "".join([self._call(), _STEP if self.steps else "", _DECIDE if self.gates else "", _FINISH])

    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """An operator."""
        name = about.pop("task_id")
        own = {} if step is None else self._own(step, task_options(step))
        if step is not None and step.image and step.image != self._image:
            own = {"image": step.image, **own}
        every = {"task_id": name, **given, **own, **about}
        if elements is None:
            return _CLASSES[kind], arguments(every), ""
        return f"{_CLASSES[kind]}.partial", arguments(every), f".expand(index={elements}.output)"

    @abstractmethod
    def _common(self) -> dict[str, Any]:
        """The operator's arguments that all tasks have alike."""

    @abstractmethod
    def _own(self, step: StepPlan, options: TaskOptions) -> dict[str, Any]:
        """The operator's arguments of a step of its own."""

    @abstractmethod
    def _call(self) -> str:
        """The operator that calls the runtime."""


_STEP = '''\
class RunStep(CallRuntime):
    """Run a step, or one element of a mapped one; for a list that is mapped over, return its indices."""

    def __init__(self, *, step, index=None, count=None, **given):
        element = [] if index is None else ["--index", str(index)]
        given["do_xcom_push"] = count is not None
        super().__init__(words=["step", "--step", step, *element], **given)
        self.count = count

    def execute(self, context):
        outcome = super().execute(context)
        return None if self.count is None else list(range(outcome["elements"][self.count]))


'''
_DECIDE = '''\
class Decide(CallRuntime, SkipMixin):
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
class FinishRun(CallRuntime):
    """Mark the end of the run, whatever has become of it."""

    def __init__(self, **given):
        super().__init__(words=["finish"], **given, do_xcom_push=False)


'''
