"""What is said to Kubernetes, held against what kfp-kubernetes itself makes of the same, and its protobuf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from installed import need

from turnout.plugin_api import Resources
from turnout.testing.plans import sample_plan, sample_step

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS = {
    "secret_environment": {"PASSWORD": "db/password"},
    "config_environment": {"REGION": "places/region"},
    "secret_volumes": {"/etc/tls": "certificates"},
    "volumes": {"/data": "claim/a/b"},
    "node_selector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
    "image_pull_policy": "Always",
    "image_pull_secrets": ["registry"],
    "labels": {"team": "ops"},
    "annotations": {"note": "theirs"},
}


@pytest.fixture(autouse=True)
def _kfp() -> None:
    need("kfp-kubernetes", "2.17")


def ours() -> tuple[Any, Any]:
    from kfp import components

    from turnout_kubeflow.orchestrator import KubeflowOrchestrator
    from turnout_kubeflow.settings import KubeflowSettings

    asked = Resources(cpu=2, memory="4Gi", gpu=1)
    plan = sample_plan(sample_step("fit", resources=asked, options={"kubeflow": OPTIONS}))
    text = KubeflowOrchestrator(msgspec.convert({}, KubeflowSettings)).compile(plan).files["pipeline.yaml"].decode()
    loaded = components.load_component_from_text(text)
    assert "kubernetes" in loaded.platform_spec.platforms
    pipeline, platform = yaml.safe_load_all(text)
    return pipeline["deploymentSpec"]["executors"], platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def theirs(folder: Path) -> tuple[Any, Any]:
    from kfp import compiler, dsl, kubernetes

    def fit() -> Any:
        return dsl.ContainerSpec(image="python:3.11", command=["true"])

    def pipeline() -> None:
        task = component()
        task.set_cpu_request("2").set_cpu_limit("2").set_memory_request("4Gi").set_memory_limit("4Gi")
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.use_secret_as_env(task, "db", {"password": "PASSWORD"})
        kubernetes.use_config_map_as_env(task, "places", {"region": "REGION"})
        kubernetes.use_secret_as_volume(task, "certificates", "/etc/tls")
        kubernetes.mount_pvc(task, "claim", "/data", sub_path="a/b")
        kubernetes.add_node_selector(task, "disk", "ssd")
        kubernetes.add_toleration(task, key="gpu", operator="Exists", effect="NoExecute", toleration_seconds=60)
        kubernetes.set_image_pull_policy(task, "Always")
        kubernetes.set_image_pull_secrets(task, ["registry"])
        kubernetes.add_pod_label(task, "team", "ops")
        kubernetes.add_pod_annotation(task, "note", "theirs")

    for function in (fit, pipeline):
        function.__annotations__.clear()  # kfp reads them, and takes no texts
    component = dsl.container_component(fit)
    file = folder / "theirs.yaml"
    compiler.Compiler().compile(dsl.pipeline(name="theirs")(pipeline), str(file))
    spec, platform = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    return spec["deploymentSpec"]["executors"], platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_a_step_says_what_kfp_kubernetes_would(tmp_path: Path) -> None:
    mine, said = ours()
    other, expected = theirs(tmp_path)
    assert said == expected
    assert mine["exec-fit"]["container"]["resources"] == other["exec-fit"]["container"]["resources"]


def test_it_is_of_the_form_that_a_back_end_reads() -> None:
    from google.protobuf import json_format
    from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

    golden = Path(__file__).parents[1] / "plugins" / "kubeflow" / "platform.yaml"
    found = yaml.safe_load(golden.read_text(encoding="utf-8"))["platforms"]["kubernetes"]["deploymentSpec"]
    for config in found["executors"].values():
        json_format.ParseDict(config, KubernetesExecutorConfig())
