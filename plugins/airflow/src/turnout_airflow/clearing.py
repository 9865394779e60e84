"""Running what did not succeed again, in the same run: Airflow calls it clearing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.plugin_api import RunError
from turnout_airflow.run import run_path, tasks
from turnout_airflow.shape import FINISH

if TYPE_CHECKING:
    from turnout_airflow.api import Api

_DONE = frozenset({"success", "skipped", "removed"})


def clear(api: Api, dag: str, engine_run: str) -> None:
    """Clear the tasks that did not succeed, and the one that marks the end; the run is queued again.

    Steps that are committed return their records should they be called again.

    Raises:
        RunError: when the run has not ended.
    """
    state = api.call("GET", run_path(dag, engine_run))["state"]
    if state not in {"success", "failed"}:
        raise RunError(
            f"the run {engine_run} is in progress: Airflow says it is {state}",
            fix="wait for its end, or stop it: turnout runs cancel RUN",
        )
    again = [
        task["task_id"] if task["map_index"] < 0 else [task["task_id"], task["map_index"]]
        for task in tasks(api, dag, engine_run)
        if task["state"] not in _DONE and task["task_id"] != FINISH
    ]
    body = {
        "dry_run": False,
        "dag_run_id": engine_run,
        "task_ids": [*again, FINISH],
        "only_failed": False,
        "reset_dag_runs": True,
    }
    api.call("POST", f"/dags/{dag}/clearTaskInstances", body)
