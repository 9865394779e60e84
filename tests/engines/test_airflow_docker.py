"""Airflow's tasks in containers: cases of the suite on podman, and what a container tells Airflow of its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from installed import need
from samples import cases

from turnout.api.run import Run
from turnout.base.identity import run_id
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.orchestrator import OrchestratorSuite


@pytest.fixture
def containers(airflow_server: Any, podman: Any, turnout_corpus: Corpus, tmp_path: Path) -> dict[str, Any]:
    """Containers that share this test's folder, and see the secrets."""
    need("apache-airflow-providers-docker", "4.6")
    orchestrator = {
        "type": "airflow",
        "launch": "docker",
        "image": podman.worker_image(),
        "url": airflow_server.url,
        "dags_folder": f"file://{airflow_server.dags}",
        "docker": {
            "url": podman.url,
            "network": "host",
            "mounts": [f"{tmp_path}:{tmp_path}", f"{turnout_corpus.secrets}:{turnout_corpus.secrets}:ro"],
        },
    }
    return {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}


class TestAirflowByDocker(OrchestratorSuite):
    """What differs when tasks are containers: what goes in, what comes out, and what their end means to Airflow."""

    sample = (*cases("empty-map", "guarded-map", "parameters"), "test_a_run_can_be_cancelled")

    @pytest.fixture
    def stack(self, containers: dict[str, Any]) -> dict[str, Any]:
        return containers


def test_a_failure_for_good_is_not_tried_again_and_calls_back(
    airflow_server: Any, turnout_corpus: Corpus, containers: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    called = tmp_path / "called"
    (airflow_server.dags / "alerts_of_docker.py").write_text(
        f"from pathlib import Path\n\ndef page(context):\n    Path({str(called)!r}).write_text(context['ti'].task_id)\n"
    )
    steps = {"flaky": {"airflow": {"on_failure_callback": "alerts_of_docker:page"}}}
    trial = Trial(turnout_corpus, {**containers, "steps": steps}, tmp_path / "trial")
    launch = trial.launch("retried")
    launch.activate()
    try:
        run = airflow_server.trigger("corpus.retried", {"scratch": "/", "turnout.options": {"at": "no time"}})
        assert airflow_server.wait("corpus.retried", run, 120) == "failed"
        (flaky,) = (task for task in airflow_server.tasks("corpus.retried", run) if task["task_id"] == "flaky")
        assert (flaky["state"], flaky["try_number"]) == ("failed", 1)
        assert launch.plan.by_name["flaky"].retry.count > 0
        airflow_server.wait_until(called.exists, 30, "the callback")
        assert called.read_text() == "flaky"
    finally:
        trial.orchestrator.unpublish(launch.plan)


def test_containers_see_an_export_by_itself(
    airflow_server: Any, turnout_corpus: Corpus, containers: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    docker = {**containers["orchestrator"]["docker"], "mount_bundle": True}
    stack = {**containers, "orchestrator": {**containers["orchestrator"], "docker": docker}}
    trial = Trial(turnout_corpus, stack, tmp_path / "trial")
    folder = airflow_server.dags / "exported-linear"
    for name, data in trial.launch("linear").export().files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    airflow_server.wait_until(lambda: _known(airflow_server, "corpus.linear"), 60, "the exported DAG")
    run = airflow_server.trigger("corpus.linear", {"number": 4})
    assert airflow_server.wait("corpus.linear", run, 120) == "success", airflow_server.explain("corpus.linear", run)
    plan = trial.launch("linear").plan
    known = Run(run_id(plan.project, plan.name, plan.instance, run), workspace=trial.workspace)
    assert known["double"].load() == 8


def _known(server: Any, dag: str) -> bool:
    return any(one["dag_id"] == dag for one in server.call("GET", "/dags?limit=100")["dags"])
