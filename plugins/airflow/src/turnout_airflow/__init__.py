"""Airflow for turnout: a pipeline becomes a DAG file, and its runs are started and followed over the REST API."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator ``airflow``."""
    return (Lazy("airflow", "turnout_airflow.orchestrator:AirflowOrchestrator"),)


@hookimpl
def turnout_commands() -> tuple[Lazy, ...]:
    """The command ``airflow``."""
    return (Lazy("airflow", "turnout_airflow.trial:airflow"),)
