"""Steps in containers: what Docker and Kubernetes have in common."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Any

from turnout.plugin_api import ConfigError, Plan, StepPlan, options_of, pysource
from turnout_airflow.container_settings import IMAGE
from turnout_airflow.launch.base import Launcher
from turnout_airflow.settings import AirflowSettings, TaskOptions


class ContainerLauncher(Launcher):
    """What containers and pods have in common: the image, and what all tasks are given.

    Raises:
        ConfigError: for a step without an image, or with a strange one.
    """

    def __init__(self, plan: Plan, settings: AirflowSettings) -> None:
        super().__init__(plan, settings)
        without = [step.name for step in plan.steps if not step.image]
        if without and not settings.image:
            raise ConfigError(
                f"the step {without[0]} has no image, and the stack launches steps by {settings.launch}",
                fix='set orchestrator: {image: …}, or steps: {"…": {image: …}}; `turnout image build` makes one',
            )
        strange = [step for step in plan.steps if not re.match(IMAGE, step.image or "")]
        if strange:
            raise ConfigError(
                f"the step {strange[0].name} has the image {strange[0].image!r}, which is not the name of one",
                fix="write it as registries do: host/name:tag, or name@sha256:…",
            )
        self._image = settings.image or plan.steps[0].image or ""

    @property
    def slots(self) -> dict[str, Any]:
        """And what all tasks are given."""
        return {**super().slots, "common": pysource.mapping({**self._common(), "skip_on_exit_code": 99})}

    def own(self, step: StepPlan) -> dict[str, Any]:
        """What the operator is told of the step's resources and image."""
        own = self._own(step, options_of(step, TaskOptions))
        return {"image": step.image, **own} if step.image and step.image != self._image else own

    @abstractmethod
    def _common(self) -> dict[str, Any]:
        """The operator's arguments that all tasks have alike."""

    @abstractmethod
    def _own(self, step: StepPlan, options: TaskOptions) -> dict[str, Any]:
        """The operator's arguments of a step of its own."""
