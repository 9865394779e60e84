"""How the tasks of a DAG file start steps: processes, containers, or pods."""

from __future__ import annotations

from turnout.plugin_api import Plan
from turnout_airflow.launch.base import Launcher
from turnout_airflow.launch.docker import DockerLauncher
from turnout_airflow.launch.kubernetes import KubernetesLauncher
from turnout_airflow.launch.python import PythonLauncher
from turnout_airflow.settings import AirflowSettings


def launcher(plan: Plan, settings: AirflowSettings) -> Launcher:
    """The launcher that the stack chooses, for a plan.

    Raises:
        ConfigError: for a step without an image where it needs one.
    """
    kinds: dict[str, type[Launcher]] = {
        "python": PythonLauncher,
        "docker": DockerLauncher,
        "kubernetes": KubernetesLauncher,
    }
    return kinds[settings.launch](plan, settings)
