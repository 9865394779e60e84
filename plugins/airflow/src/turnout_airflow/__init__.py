"""Airflow for turnout: a pipeline becomes a DAG file, and its runs are started and followed over the REST API."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[type[Any], ...]:
    """The orchestrator ``airflow``."""
    from turnout_airflow.orchestrator import AirflowOrchestrator

    return (AirflowOrchestrator,)


@hookimpl
def turnout_commands() -> tuple[Any, ...]:
    """The command ``airflow``."""
    from turnout_airflow.command import airflow

    return (airflow,)
