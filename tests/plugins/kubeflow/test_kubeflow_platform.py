"""What a specification says to Kubernetes, and what is refused before a cluster would."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from turnout.model.plan import Component, Worker
from turnout.plugin_api import ConfigError, Element, InputSpec, Place, Resources, UnsupportedError, merged
from turnout.testing import purity
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow.options import TaskOptions
from turnout_kubeflow.orchestrator import KubeflowOrchestrator
from turnout_kubeflow.settings import KubeflowSettings

GOLDEN = Path(__file__).with_name("platform.yaml")
EVERY = {
    "secret_environment": {"AWS_SECRET_ACCESS_KEY": "store/secret-key", "AWS_ACCESS_KEY_ID": "store/id"},
    "image_pull_policy": "IfNotPresent",
    "image_pull_secrets": ["registry"],
    "labels": {"team": "ops"},
}
OWN = {
    "config_environment": {"REGION": "places/region"},
    "secret_volumes": {"/etc/tls": "certificates"},
    "volumes": {"/data": "claim", "/models": "claim/models/new"},
    "node_selector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
    "image_pull_policy": "Always",
    "image_pull_secrets": ["registry", "own"],
    "labels": {"cost": "high"},
    "annotations": {"note": 'it\'s "quoted": {{ 1 }} # 漢字'},
}


def settings(**given):
    return msgspec.convert(given, KubeflowSettings)


def documents(plan, **given):
    text = KubeflowOrchestrator(settings(**given)).compile(plan).files["pipeline.yaml"].decode()
    return text, list(yaml.safe_load_all(text))


def executors(plan, **given):
    _, found = documents(plan, **given)
    return found[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if len(found) > 1 else {}


def everything():
    return sample_plan(
        sample_step(
            "fit",
            secrets={"PASSWORD": "warehouse"},
            resources=Resources(gpu=2, accelerator="l4"),
            options={"kubeflow": OWN},
        ),
        sample_step("rest"),
        worker=Worker(tracker=Component(type="mlflow", config={"password": "${secret:mlflow}"})),
    )


def test_a_document_is_what_it_was():
    text, _ = documents(
        everything(),
        every=EVERY,
        kubernetes_secrets={"warehouse": "db/password", "mlflow": "trackers/mlflow-password", "other": "other/key"},
        accelerators={"l4": {"node_selector": {"cloud.example/accelerator": "nvidia-l4"}}},
    )
    assert text.partition("---\n")[2] == GOLDEN.read_text(encoding="utf-8")


def test_it_is_the_same_in_any_process(tmp_path):
    orchestrator = KubeflowOrchestrator(
        settings(every=EVERY, accelerators={"l4": {"node_selector": {"b": "1", "a": "2"}}})
    )
    here = (purity.digest(orchestrator.compile(everything())),)
    for seed in (1, 2):
        elsewhere = purity.compile_elsewhere(orchestrator, [everything()], tmp_path / str(seed), seed, TZ="Asia/Tokyo")
        assert (elsewhere.effects, elsewhere.digests) == ((), here)


def test_nothing_is_said_where_nothing_is_asked_for():
    assert len(documents(sample_plan(sample_step("fit")))[1]) == 1


def test_a_step_adds_to_what_all_have():
    found = merged(msgspec.convert(EVERY, TaskOptions), msgspec.convert(OWN, TaskOptions))
    assert found.labels == {"team": "ops", "cost": "high"}
    assert (found.image_pull_policy, found.image_pull_secrets) == ("Always", ("registry", "own"))


def test_a_container_gets_the_secrets_that_it_needs_alone():
    plan = sample_plan(
        sample_step("fit", secrets={"PASSWORD": "db", "AGAIN": "db"}),
        sample_step("load", secrets={"TOKEN": "api"}),
        sample_step("rest"),
        worker=Worker(secrets=Component(type="env", config={"prefix": "SECRET_"})),
    )
    found = executors(plan, kubernetes_secrets={"db": "warehouse/password", "api": "outside/token"})
    assert {name: [one["secretName"] for one in config["secretAsEnv"]] for name, config in found.items()} == {
        "exec-fit": ["warehouse"],
        "exec-load": ["outside"],
    }
    assert found["exec-fit"]["secretAsEnv"][0]["keyToEnv"] == [{"secretKey": "password", "envVar": "SECRET_db"}]


def test_a_map_may_run_a_few_elements_at_a_time():
    plan = sample_plan(
        sample_step("load"),
        sample_step(
            "each",
            inputs={"x": InputSpec(source=Element(step="load", output="output"))},
            options={"kubeflow": {"parallelism": 2}},
        ),
    )
    _, (found,) = documents(plan)
    assert found["components"]["comp-each-each"]["dag"]["tasks"]["each"]["iteratorPolicy"] == {"parallelismLimit": 2}


def test_secrets_that_nobody_gives_are_noted():
    plan = sample_plan(sample_step("fit", secrets={"PASSWORD": "db", "TOKEN": "api"}))
    notes = KubeflowOrchestrator(settings(kubernetes_secrets={"db": "warehouse/password"})).compile(plan).notes
    assert [note.rpartition(": ")[2] for note in notes if "kubernetes_secrets" in note] == ["api"]


def test_secrets_that_no_variable_can_hold():
    files = Worker(secrets=Component(type="files", config={"folder": "/secrets"}))
    with pytest.raises(ConfigError, match="secrets of type files are none"):
        documents(sample_plan(sample_step("fit"), worker=files), kubernetes_secrets={"db": "warehouse/password"})
    with pytest.raises(ConfigError, match="cannot be a variable"):
        documents(
            sample_plan(sample_step("fit", secrets={"A": "db/password"})),
            kubernetes_secrets={"db/password": "warehouse/password"},
        )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Resources(gpu=2), ("nvidia.com/gpu", "2")),
        (Resources(gpu=1, accelerator="amd.com/gpu"), ("amd.com/gpu", "1")),
        (Resources(accelerator="tpu"), ("example.com/tpu", "1")),
    ],
)
def test_accelerators_have_a_resource_and_nodes(asked, expected):
    plan = sample_plan(sample_step("fit", resources=asked))
    _, found = documents(plan, accelerators={"tpu": {"resource": "example.com/tpu", "node_selector": {"has": "a tpu"}}})
    given = found[0]["deploymentSpec"]["executors"]["exec-fit"]["container"]["resources"]["accelerator"]
    assert (given["resourceType"], given["resourceCount"]) == expected
    nodes = executors(plan, accelerators={"tpu": {"node_selector": {"has": "a tpu"}}})
    assert nodes == ({"exec-fit": {"nodeSelector": {"labels": {"has": "a tpu"}}}} if asked.accelerator == "tpu" else {})


def test_an_accelerator_that_the_stack_does_not_know_is_refused_by_the_line():
    plan = sample_plan(sample_step("fit", resources=Resources(accelerator="l4"), place=Place(file="a.py", line=3)))
    with pytest.raises(UnsupportedError, match="of type l4") as caught:
        documents(plan)
    assert str(caught.value.where) == "a.py:3"


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_environment": {"A": "no-key"}},
        {"secret_environment": {"not a variable": "db/key"}},
        {"volumes": {"relative": "claim"}},
        {"volumes": {"/data": "Upper"}},
        {"image_pull_policy": "Sometimes"},
        {"tolerations": [{"key": "gpu", "effekt": "NoSchedule"}]},
        {"image_pull_secrets": ["no\nline"]},
        {"unknown": 1},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, TaskOptions)
