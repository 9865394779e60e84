"""Of a task's log what the step says is shown, and what went wrong around it; not what Airflow says around every task."""

from __future__ import annotations

from typing import Any

from turnout_airflow.run import _of_step


def said(event: str, **more: Any) -> dict[str, Any]:
    return {"event": event, "level": "info", **more}


def test_groups_around_the_step_and_its_outcome_are_left_out() -> None:
    entries = [
        said("::group::Pre Execute"),
        said("Filling up the DagBag"),
        said("::endgroup::"),
        said("epoch 1"),
        said(""),
        said('{"state": "of the user\'s own"}'),
        said(""),
        said('{"elements":{"output":5},"message":"a \\"word\\"","retryable":true,"state":"failed"}'),
        said('{"state":"succeeded","values":{"when_1":true}}\n'),
        said("::group::Post Execute"),
        said("::endgroup::"),
    ]
    assert [entry["event"] for entry in _of_step(entries)] == ["epoch 1", "", '{"state": "of the user\'s own"}']


def test_what_went_wrong_within_a_group_is_shown() -> None:
    entries = [
        said("::group::Pre Execute"),
        said("fine"),
        said("no such pool", level="error"),
        said("Task failed", error_detail=[{"exc_type": "KeyError", "exc_value": "x"}]),
    ]
    assert [entry["event"] for entry in _of_step(entries)] == ["no such pool", "Task failed"]
    assert list(_of_step(["an old Airflow's text"])) == ["an old Airflow's text"]
