"""Airflow's tasks in pods, by its real operator, on a stand-in for a cluster: what pods are, and what their ends mean."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import need
from samples import cases

from turnout.api.run import Run
from turnout.testing.cases import PASSWORD
from turnout.testing.corpus_project import Corpus, Trial
from turnout.testing.orchestrator import OrchestratorSuite


@pytest.fixture(scope="module")
def cluster(airflow_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The stand-in, and a connection of Airflow to it."""
    need("apache-airflow-providers-cncf-kubernetes", "10.5")
    from cluster import Cluster

    with Cluster(tmp_path_factory.mktemp("cluster"), {"corpus": {"password": PASSWORD}}) as started:
        extra = json.dumps({"kube_config_path": str(started.kubeconfig)})
        given = {"connection_id": "stand-in", "conn_type": "kubernetes", "extra": extra}
        airflow_server.call("POST", "/connections", given)
        yield started


@pytest.fixture
def pods(airflow_server: Any, cluster: Any, turnout_corpus: Corpus, tmp_path: Path) -> dict[str, Any]:
    """Pods that are given a password by reference, and say all that a pod may."""
    orchestrator = {
        "type": "airflow",
        "launch": "kubernetes",
        "image": "registry.example.com/worker:1",
        "python": sys.executable,
        "url": airflow_server.url,
        "dags_folder": str(airflow_server.dags),
        "environment": {"TURNOUT_CACHE": str(turnout_corpus.folder / "cache"), "PRICE": "$(PATH)"},
        "kubernetes": {
            "connection": "stand-in",
            "namespace": "ml",
            "service_account": "trainer",
            "image_pull_policy": "IfNotPresent",
            "image_pull_secrets": ["registry"],
            "secret_environment": {"corpus_password": "corpus/password"},
            "labels": {"team": "ops"},
            "annotations": {"example.com/owner": "Ops & Co"},
            "node_selector": {"disk": "ssd"},
            "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
            "accelerator_label": "example.com/accelerator",
            "priority_class": "high",
            "volumes": {"/srv/models": "models/vision"},
        },
    }
    return {
        "orchestrator": orchestrator,
        "artifact_store": {"root": str(tmp_path / "store")},
        "secrets": {"type": "env"},
        "steps": {
            "flaky": {
                "resources": {"cpu": 0.5, "memory": "1Gi", "gpu": 1, "accelerator": "l4"},
                "airflow": {"kubernetes": {"node_selector": {"zone": "b"}, "labels": {"size": "big"}}},
            }
        },
    }


class TestAirflowByKubernetes(OrchestratorSuite):
    """What differs when tasks are pods: what goes in, what comes out, and what their end means to Airflow."""

    sample = (*cases("guarded-map-open", "retry", "secret"), "test_a_run_can_be_cancelled")

    @pytest.fixture
    def stack(self, pods: dict[str, Any]) -> dict[str, Any]:
        return pods


def test_a_list_that_is_too_long_fails_the_task_that_made_it(
    turnout_corpus: Corpus, pods: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    limited = {**pods, "orchestrator": {**pods["orchestrator"], "max_map_length": 2}}
    trial = Trial(turnout_corpus, limited, tmp_path / "trial")
    handle = trial.launch("mapped").submit({"count": 3})
    assert handle.wait(120) == "failed"
    lines = "\n".join(trial.orchestrator.logs(trial.launch("mapped").plan, handle.engine_run, "numbers"))
    assert "3 elements are to be mapped over; Airflow takes 2 at most" in lines
    run = Run(handle.run_id, workspace=trial.workspace)
    assert (run["numbers"].state, run.state) == ("succeeded", "failed")


def test_a_pod_is_what_the_stack_says_and_a_failure_for_good_is_not_tried_again(
    airflow_server: Any, cluster: Any, turnout_corpus: Corpus, pods: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    trial = Trial(turnout_corpus, pods, tmp_path / "trial")
    launch = trial.launch("retried")
    launch.activate()
    known = set(cluster.pods)
    try:
        run = airflow_server.trigger("corpus.retried", {"scratch": "/", "turnout.options": {"at": "no time"}})
        assert airflow_server.wait("corpus.retried", run, 120) == "failed"
        (flaky,) = (task for task in airflow_server.tasks("corpus.retried", run) if task["task_id"] == "flaky")
        assert (flaky["state"], flaky["try_number"]) == ("failed", 1)
        assert launch.plan.by_name["flaky"].retry.count > 0
    finally:
        trial.orchestrator.unpublish(launch.plan)
    (pod,) = (
        cluster.pods[name] for name in set(cluster.pods) - known if cluster.pods[name].labels["task_id"] == "flaky"
    )
    spec, container = pod.document["spec"], pod.container
    assert container["resources"] == {
        "requests": {"cpu": "0.5", "memory": "1Gi"},
        "limits": {"memory": "1Gi", "nvidia.com/gpu": "1"},
    }
    assert container["image"] == "registry.example.com/worker:1"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert spec["nodeSelector"] == {"disk": "ssd", "zone": "b", "example.com/accelerator": "l4"}
    assert spec["serviceAccountName"] == "trainer"
    assert spec["priorityClassName"] == "high"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["tolerations"] == [
        {"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]
    assert spec["restartPolicy"] == "Never"
    (volume,), (mount,) = spec["volumes"], container["volumeMounts"]
    assert volume["persistentVolumeClaim"] == {"claimName": "models"}
    assert mount == {"name": volume["name"], "mountPath": "/srv/models", "subPath": "vision"}
    assert (pod.labels["team"], pod.labels["size"]) == ("ops", "big")
    assert pod.document["metadata"]["annotations"] == {"example.com/owner": "Ops & Co"}
    variables = {one["name"]: one for one in container["env"]}
    assert variables["corpus_password"] == {
        "name": "corpus_password",
        "valueFrom": {"secretKeyRef": {"name": "corpus", "key": "password"}},
    }
    assert variables["PRICE"]["value"] == "$$(PATH)"
    assert PASSWORD not in json.dumps(pod.document)
