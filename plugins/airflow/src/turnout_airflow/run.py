"""A run of a DAG: what Airflow says of it and of its tasks, how it is stopped, and how it goes on."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from turnout.plugin_api import (
    Change,
    NotFound,
    Plan,
    PolledRun,
    RunError,
    RunState,
    RunStatus,
    StepStatus,
    Watcher,
    parse_time,
)
from turnout_airflow.settings import FINISH

if TYPE_CHECKING:
    from turnout_airflow.api import Api

POLL = 1.0
"""How many seconds lie between two looks at a run."""
_PAGE = 100
_ENDED: dict[str, RunState] = {"success": "succeeded", "failed": "failed"}
_ACTIVE = frozenset({"queued", "running", "restarting"})
_OVER = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
_STEPS: dict[str, Any] = {
    "success": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
    "running": "running",
}
_CHANGES: dict[str, Any] = {**_STEPS, "upstream_failed": "blocked", "up_for_retry": "retrying"}
_OUTCOME = re.compile(
    r'\{("(adopted|elements|message|retryable)":.*,)?"state":"(succeeded|skipped|failed)"(,"values":.*)?\}\s*'
)
"""The one line of JSON that ends what a call of the runtime prints."""
_WRONG = ("warning", "error", "critical")
"""The levels of entries that are shown wherever they stand."""


class DagRun:
    """A run as Airflow has it."""

    def __init__(self, api: Api, dag: str, engine_run: str) -> None:
        self.api = api
        self.dag = dag
        self.engine_run = engine_run
        self._path = f"/dags/{dag}/dagRuns/{urllib.parse.quote(engine_run, safe='')}"

    @property
    def state(self) -> str:
        """Airflow's own word."""
        return str(self.api.call("GET", self._path)["state"])

    def tasks(self) -> list[dict[str, Any]]:
        """The task instances, one a mapped element; none where there is no such run."""
        found: list[dict[str, Any]] = []
        while True:
            path = f"{self._path}/taskInstances?limit={_PAGE}&offset={len(found)}&order_by=id"
            try:
                page = self.api.call("GET", path)
            except NotFound:
                return found
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def status(self, plan: Plan) -> RunStatus:
        """The run as Airflow sees it; ``unknown`` where it has none of that id."""
        try:
            state = self.state
        except NotFound:
            return RunStatus(state="unknown")
        steps = tuple(
            StepStatus(step=task["task_id"], index=_index(task), state=_STEPS.get(task["state"], "waiting"))
            for task in self.tasks()
            if task["task_id"] in plan.by_name
        )
        return RunStatus(state=_ENDED.get(state, "running"), steps=steps)

    def logs(self, step: str, index: int | None) -> Iterator[str]:
        """The lines of a task's log, all tries in order."""
        for task in self.tasks():
            if (task["task_id"], _index(task)) == (step, index):
                for number in range(1, task["try_number"] + 1):
                    place = f"{number}?map_index={task['map_index']}&full_content=true"
                    content = self.api.call("GET", f"{self._path}/taskInstances/{step}/logs/{place}")["content"]
                    for entry in _of_step(content if isinstance(content, list) else [content]):
                        yield from _lines(entry)

    def cancel(self) -> bool:
        """Mark what has not ended failed, the last steps first; return whether the run was still going on.

        Marking the run itself would not do: Airflow then skips what waits, and calls a run whose last tasks are skipped
        a success. The task that marks the end still runs.
        """
        if self.state in _ENDED:
            return False
        for task in reversed(self.tasks()):
            if task["state"] not in _OVER and task["task_id"] != FINISH:
                place = task["task_id"] if (index := _index(task)) is None else f"{task['task_id']}/{index}"
                self.api.call("PATCH", f"{self._path}/taskInstances/{place}", {"new_state": "failed"})
        return True

    def clear(self, plan: Plan, committed: Collection[str]) -> None:
        """Clear the tasks of what is not committed, and the one that marks the end; the run is queued again.

        What Airflow calls a task does not count: a time limit of the run leaves tasks skipped that never began. A task
        that has not succeeded though its step is committed is cleared as well, for what comes after it may wait for it;
        called again, it returns the step's record, a skip included.

        Args:
            committed: the labels of what has a record.

        Raises:
            RunError: when the run has not ended.
        """
        if (state := self.state) not in _ENDED:
            raise RunError(
                f"the run {self.engine_run} is in progress: Airflow says it is {state}",
                fix="wait for its end, or stop it: turnout runs cancel RUN",
            )
        again = [
            task["task_id"] if (index := _index(task)) is None else [task["task_id"], index]
            for task in self.tasks()
            if task["task_id"] != FINISH and task["state"] != "removed" and not _is_done(task, plan, committed)
        ]
        body = {
            "dry_run": False,
            "dag_run_id": self.engine_run,
            "task_ids": [*again, FINISH],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.api.call("POST", f"/dags/{self.dag}/clearTaskInstances", body)


class AirflowRun(PolledRun):
    """A run that was submitted; ``wait`` tells whoever watches of the changes it sees."""

    patience = 5

    def __init__(self, run: DagRun, plan: Plan, url: str, watch: Watcher) -> None:
        super().__init__(plan, run.engine_run, None, watch, POLL)
        self.url = url
        self._run = run

    def poll(self) -> RunState:
        """What Airflow says of the run, of whose tasks it tells.

        Raises:
            RunError: where somebody paused the DAG meanwhile.
        """
        state = _ENDED.get(self._run.state, "running")  # before its tasks: they are newer
        tasks = self._run.tasks()
        totals: dict[str, int] = {}
        for task in tasks:
            if task["map_index"] >= 0:
                totals[task["task_id"]] = totals.get(task["task_id"], 0) + 1
        for task in tasks:
            change = _CHANGES.get(task["state"])
            if change is not None and (step := task["task_id"]) in self.plan.by_name:
                seconds = 0.0 if change == "retrying" else _seconds(task)
                number, total = task["try_number"], totals.get(step)
                self.tell(Change(step, _index(task), change, seconds=seconds, number=number, total=total))
        if state == "running" and not any(task["state"] in _ACTIVE for task in tasks):
            self._see_paused()
        return state

    def stop(self) -> bool:
        """Stop the run, unless it has ended: what runs is killed, what waits never starts."""
        return self._run.cancel()

    def _see_paused(self) -> None:
        if self._run.api.call("GET", f"/dags/{self._run.dag}")["is_paused"]:
            raise RunError(
                f"the DAG {self._run.dag} is paused, so the run {self.engine_run} does not go on",
                why="somebody paused it after the run was started",
                fix=f"unpause it in Airflow, where the run then goes on: {self.url}",
            )


def _index(task: dict[str, Any]) -> int | None:
    """Which element a task instance is of."""
    return None if task["map_index"] < 0 else int(task["map_index"])


def _seconds(task: dict[str, Any]) -> float:
    """How long a task took. Airflow before 3.3 counts seconds twice in ``duration`` where its database is SQLite."""
    ends = [task["start_date"], task["end_date"]]
    return 0.0 if None in ends else max(0.0, (parse_time(ends[1]) - parse_time(ends[0])).total_seconds())


def _is_done(task: dict[str, Any], plan: Plan, committed: Collection[str]) -> bool:
    """Whether Airflow has a task as succeeded, and what it is there for is committed."""
    name, index = task["task_id"], _index(task)
    label = name if index is None else f"{name}.{index}"
    step = name in plan.by_name  # else the length of a further list: ``step-output``
    return bool(task["state"] == "success" and (not step or label in committed))


def _of_step(entries: Iterable[Any]) -> Iterator[Any]:
    """What a task's log has of its step, and of what went wrong: not what Airflow says in groups around every task, nor
    the outcome that the runtime prints for Airflow."""
    grouped, blank = False, None
    for entry in entries:
        text = str(entry.get("event", "")) if isinstance(entry, dict) else str(entry)
        if text.startswith(("::group::", "::endgroup::")):
            grouped = text.startswith("::group::")
        elif _OUTCOME.fullmatch(text):
            blank = None  # the runtime begins a new line with it
        elif not grouped or _is_wrong(entry):
            if blank is not None:
                yield blank
            blank = entry if not text.strip() else None
            if blank is None:
                yield entry


def _is_wrong(entry: Any) -> bool:
    return isinstance(entry, dict) and (entry.get("level") in _WRONG or bool(entry.get("error_detail")))


def _lines(entry: Any) -> Iterator[str]:
    """An entry of a task's log: what it says, and of the exceptions it tells of, each by type and message."""
    if not isinstance(entry, dict):
        yield str(entry)
        return
    yield str(entry.get("event", entry))
    for raised in entry.get("error_detail") or ():
        yield f"{raised.get('exc_type')}: {raised.get('exc_value')}"
