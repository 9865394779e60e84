"""The five pipelines on a live Airflow: the same records, digest for digest, as a local run."""

from __future__ import annotations

from typing import Any

import pytest
from cases import CASES, Case

NATIVE = {
    "guards-bad": {"publish": "skipped", "great": "skipped", "celebrate": "skipped", "archive": "skipped"},
    "empty-fan": {"square": "skipped", "label": "skipped", "total": "success"},
    "given-up": {"flaky": "failed", "after": "upstream_failed", "finish": "failed"},
}
"""What Airflow itself must show of some tasks."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_on_airflow(case: Case, workshop: Any, airflow: Any) -> None:
    run = airflow.runs[case.name]
    state = airflow.server.wait(case.pipeline, run)
    assert state == ("success" if case.succeeds else "failed"), airflow.server.explain(case.pipeline, run)
    evidence = workshop.evidence("airflow", case, airflow.store, run)
    assert evidence == workshop.reference(case).evidence
    shown = {task["task_id"]: task["state"] for task in airflow.server.tasks(case.pipeline, run)}
    assert shown.items() >= NATIVE.get(case.name, {}).items()


def test_a_cleared_task_gets_the_record_that_stands(workshop: Any, airflow: Any) -> None:
    (case,) = (case for case in CASES if case.name == "diamond")
    run, server = airflow.runs[case.name], airflow.server
    assert server.wait(case.pipeline, run) == "success"
    cleared = {"dry_run": False, "dag_run_id": run, "task_ids": ["split", "finish"], "only_failed": False}
    server.call("POST", f"/dags/{case.pipeline}/clearTaskInstances", cleared)
    assert server.wait(case.pipeline, run) == "success", server.explain(case.pipeline, run)
    tries = {task["task_id"]: task["try_number"] for task in server.tasks(case.pipeline, run)}
    assert (tries["split"], tries["finish"], tries["join"]) == (2, 2, 1)
    assert '"adopted":true' in server.log(case.pipeline, run, "split", attempt=2)
    assert workshop.evidence("airflow", case, airflow.store, run) == workshop.reference(case).evidence
