"""Running what is not committed again, in the same run: Airflow calls it clearing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from turnout.plugin_api import Plan, RunError
from turnout_airflow.run import run_path, tasks
from turnout_airflow.settings import FINISH

if TYPE_CHECKING:
    from turnout_airflow.api import Api


def clear(api: Api, plan: Plan, dag: str, engine_run: str, committed: Collection[str]) -> None:
    """Clear the tasks of what is not committed, and the one that marks the end; the run is queued again.

    What Airflow calls a task does not count: a time limit of the run leaves tasks skipped that never began. A task that
    has not succeeded though its step is committed is cleared as well, for what comes after it may wait for it; called
    again, it returns the step's record, a skip included.

    Args:
        committed: the labels of what has a record.

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
        if task["task_id"] != FINISH and task["state"] != "removed" and not _is_done(task, plan, committed)
    ]
    body = {
        "dry_run": False,
        "dag_run_id": engine_run,
        "task_ids": [*again, FINISH],
        "only_failed": False,
        "reset_dag_runs": True,
    }
    api.call("POST", f"/dags/{dag}/clearTaskInstances", body)


def _is_done(task: dict[str, Any], plan: Plan, committed: Collection[str]) -> bool:
    """Whether Airflow has a task as succeeded, and what it is there for is committed."""
    name, index = task["task_id"], task["map_index"]
    label = name if index < 0 else f"{name}.{index}"
    step = name in plan.by_name  # else the length of a further list: ``step-output``
    return bool(task["state"] == "success" and (not step or label in committed))
