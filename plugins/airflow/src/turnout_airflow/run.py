"""A run of a DAG, followed by asking for its task instances."""

from __future__ import annotations

import time
import urllib.parse
from datetime import datetime
from typing import TYPE_CHECKING, Any

from turnout.plugin_api import (
    Change,
    Plan,
    RunError,
    RunHandle,
    RunState,
    RunStatus,
    StepStatus,
    TurnoutError,
    Watcher,
    run_id,
)
from turnout_airflow.settings import FINISH

if TYPE_CHECKING:
    from turnout_airflow.api import Api

POLL = 1.0
"""How many seconds lie between two looks at a run."""
FAILURES = 5
"""How often in a row Airflow may fail to answer before following a run ends with its error."""
_PAGE = 100
_ENDED: dict[str, RunState] = {"success": "succeeded", "failed": "failed"}
_ACTIVE = frozenset({"queued", "running", "restarting"})
_OVER = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
_STEPS: dict[str, Any] = {
    "success": "succeeded",
    "failed": "failed",
    "upstream_failed": "failed",
    "skipped": "skipped",
    "running": "running",
}
_CHANGES: dict[str, Any] = {
    "success": "succeeded",
    "failed": "failed",
    "upstream_failed": "blocked",
    "skipped": "skipped",
    "running": "running",
    "up_for_retry": "retrying",
}


class AirflowRun(RunHandle):
    """A run that was submitted; ``wait`` tells whoever watches of the changes it sees."""

    def __init__(self, api: Api, plan: Plan, dag: str, engine_run: str, url: str, watch: Watcher) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self.url = url
        self._api = api
        self._plan = plan
        self._dag = dag
        self._watch = watch
        self._seen: dict[tuple[str, int], tuple[str, int]] = {}
        self._asked = 0.0
        self._state: RunState = "running"
        self._cancelled = False
        self._failures = 0

    def wait(self, timeout: float | None = None) -> RunState:
        """The run's state when it has ended, ``running`` when *timeout* seconds are over before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._state == "running":
            now = time.monotonic()
            due = self._asked + POLL
            if now >= due:
                self._try_to_look()
                self._asked = time.monotonic()
            elif deadline is not None and deadline <= due:
                time.sleep(max(0.0, deadline - now))
                break
            else:
                time.sleep(due - now)
        return self._state

    def cancel(self) -> None:
        """Stop the run, unless it has ended: what runs is killed, what waits never starts."""
        self._cancelled = cancel(self._api, self._dag, self.engine_run) or self._cancelled

    def _try_to_look(self) -> None:
        """Look; that Airflow does not answer now and then is not the end of the run."""
        try:
            self._look()
            self._failures = 0
        except TurnoutError:
            self._failures += 1
            if self._failures > FAILURES:
                raise

    def _look(self) -> None:
        state = self._api.call("GET", run_path(self._dag, self.engine_run))["state"]  # before its tasks: they are newer
        found = tasks(self._api, self._dag, self.engine_run)
        self._tell(found)
        self._state = _ENDED.get(state, "running")
        if self._cancelled and self._state == "failed":
            self._state = "cancelled"
        if self._state == "running" and not any(task["state"] in _ACTIVE for task in found):
            self._see_paused()

    def _see_paused(self) -> None:
        if self._api.call("GET", f"/dags/{self._dag}")["is_paused"]:
            raise RunError(
                f"the DAG {self._dag} is paused, so the run {self.engine_run} does not go on",
                why="somebody paused it after the run was started",
                fix=f"unpause it in Airflow, where the run then goes on: {self.url}",
            )

    def _tell(self, found: list[dict[str, Any]]) -> None:
        totals: dict[str, int] = {}
        for task in found:
            if task["map_index"] >= 0:
                totals[task["task_id"]] = totals.get(task["task_id"], 0) + 1
        for task in found:
            step, index, number = task["task_id"], task["map_index"], task["try_number"]
            state = _CHANGES.get(task["state"])
            if state is None or step not in self._plan.by_name or self._seen.get((step, index)) == (state, number):
                continue
            self._seen[step, index] = (state, number)
            place = None if index < 0 else index
            seconds = 0.0 if state == "retrying" else _seconds(task)
            self._watch(Change(step, place, state, seconds=seconds, number=number, total=totals.get(step)))


def _seconds(task: dict[str, Any]) -> float:
    """How long a task took. Airflow before 3.3 counts seconds twice in ``duration`` where its database is SQLite."""
    ends = [task["start_date"], task["end_date"]]
    if None in ends:
        return 0.0
    start, end = (datetime.fromisoformat(moment.replace("Z", "+00:00")) for moment in ends)
    return max(0.0, (end - start).total_seconds())


def run_path(dag: str, engine_run: str) -> str:
    """Where the API has a run."""
    return f"/dags/{dag}/dagRuns/{urllib.parse.quote(engine_run, safe='')}"


def task_path(dag: str, engine_run: str, task: str) -> str:
    """Where the API has a task of a run."""
    return f"{run_path(dag, engine_run)}/taskInstances/{task}"


def tasks(api: Api, dag: str, engine_run: str) -> list[dict[str, Any]]:
    """The task instances of a run, one a mapped element; none where there is no such run."""
    from turnout_airflow.api import NotFound

    found: list[dict[str, Any]] = []
    while True:
        path = f"{run_path(dag, engine_run)}/taskInstances?limit={_PAGE}&offset={len(found)}&order_by=id"
        try:
            page = api.call("GET", path)
        except NotFound:
            return found
        found += page["task_instances"]
        if len(found) >= page["total_entries"] or not page["task_instances"]:
            return found


def status_of(api: Api, plan: Plan, dag: str, engine_run: str) -> RunStatus:
    """A run as Airflow sees it; ``unknown`` where it has none of that id."""
    from turnout_airflow.api import NotFound

    try:
        state = api.call("GET", run_path(dag, engine_run))["state"]
    except NotFound:
        return RunStatus(state="unknown")
    steps = tuple(
        StepStatus(
            step=task["task_id"],
            index=None if task["map_index"] < 0 else task["map_index"],
            state=_STEPS.get(task["state"], "waiting"),
        )
        for task in tasks(api, dag, engine_run)
        if task["task_id"] in plan.by_name
    )
    return RunStatus(state=_ENDED.get(state, "running"), steps=steps)


def cancel(api: Api, dag: str, engine_run: str) -> bool:
    """Mark what has not ended failed, the last steps first; return whether the run was still going on.

    Marking the run itself would not do: Airflow then skips what waits, and calls a run whose last tasks are skipped
    a success.
    """
    if api.call("GET", run_path(dag, engine_run))["state"] in _ENDED:
        return False
    for task in reversed(tasks(api, dag, engine_run)):
        if task["state"] not in _OVER and task["task_id"] != FINISH:
            index = "" if task["map_index"] < 0 else f"/{task['map_index']}"
            api.call("PATCH", f"{task_path(dag, engine_run, task['task_id'])}{index}", {"new_state": "failed"})
    return True
