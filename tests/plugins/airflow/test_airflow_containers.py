"""DAG files whose tasks are containers and pods: byte for byte, and what the stack may say of them."""

import ast

import msgspec
import pytest

from turnout.plugin_api import ConfigError, Element, InputSpec, Output, OutputPlan, Resources, StepPlan, TypeName
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

LIST = OutputPlan(name="output", type=TypeName(name="builtins:int", text="int", collection=True))
OWN = {
    "docker": {"mounts": ["models:/models:ro"], "user": "1000", "shm_size": 2**30},
    "kubernetes": {
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
        "secret_environment": {"TOKEN": "hub/token"},
        "labels": {"team": "vision"},
        "service_account": "trainer",
        "volumes": {"/models": "models/vision"},
    },
}
SETTINGS = {
    "image": "registry.example.com/flights:1",
    "environment": {"REGION": "eu", "PRICE": "$(PATH) $5"},
    "docker": {"url": "tcp://docker:2375", "connection": "registry", "network": "host", "mounts": ["/store:/store"]},
    "kubernetes": {
        "namespace": "ml",
        "connection": "cluster",
        "image_pull_policy": "IfNotPresent",
        "image_pull_secrets": ["registry"],
        "secret_environment": {"AWS_SECRET_ACCESS_KEY": "s3/secret-key"},
        "labels": {"app": "turnout"},
        "tolerations": [{"key": "spot", "value": "yes", "effect": "NoSchedule"}],
        "volumes": {"/srv/store": "store"},
        "startup_timeout": 600,
        "accelerator_label": "cloud.google.com/gke-accelerator",
    },
}


def plan():
    """One step that says nothing, one that says everything, mapped over the first's list; a guard."""
    wants = Resources(cpu=2, memory="4Gi", gpu=1, accelerator="nvidia-l4")
    reads = {"rows": InputSpec(source=Output(step="load", output="output"))}
    return sample_plan(
        sample_step("load", outputs=(LIST,)),
        StepPlan(name="good", kind="gate", inputs=reads),
        sample_step(
            "fit",
            inputs={"row": InputSpec(source=Element(step="load", output="output"))},
            guards=("good",),
            resources=wants,
            image="fit:2",
            options={"airflow": OWN},
        ),
    )


def settings(launch, **changes):
    return msgspec.convert({"launch": launch, **SETTINGS, **changes}, AirflowSettings)


def source(launch, plan, **changes):
    (data,) = AirflowOrchestrator(settings(launch, **changes)).compile(plan).files.values()
    ast.parse(data)
    return data.decode()


@pytest.mark.parametrize("launch", ["docker", "kubernetes"])
def test_everything_at_once(snapshot, launch):
    assert source(launch, plan()) == snapshot


def test_files_are_as_a_formatter_leaves_them(as_formatted):
    mounted = source("docker", plan(), docker={"mount_bundle": True})
    as_formatted([mounted, *(source(launch, plan()) for launch in ("docker", "kubernetes"))])


def test_where_containers_find_plan_and_code():
    def notes(**changes):
        return AirflowOrchestrator(settings(**changes)).compile(sample_plan()).notes

    store = "containers take plan and code from the store, where `publish` and `export --upload` put them"
    assert notes(launch="python") == ()
    assert notes(launch="docker") == (store,)
    assert notes(launch="docker", docker={"mount_bundle": True}) == ()
    assert notes(launch="kubernetes") == (store,)


def test_a_bundle_that_containers_see(snapshot):
    text = source("docker", plan(), docker={"mount_bundle": True}, python="/opt/turnout/bin/python")
    assert [line for line in text.splitlines() if "BUNDLE" in line or "/turnout" in line] == snapshot


@pytest.mark.parametrize("launch", ["docker", "kubernetes"])
def test_steps_need_an_image(launch):
    with pytest.raises(ConfigError, match=f"the step load has no image, and the stack launches steps by {launch}"):
        source(launch, plan(), image="")
    strange = sample_plan(sample_step("fit", image="{{ 1 }}"))
    with pytest.raises(ConfigError, match="which is not the name of one"):
        source(launch, strange)
    own = sample_plan(sample_step("fit", image="fit:2"))
    assert source(launch, own, image="").count('"image": "fit:2"') == 1


def test_what_is_asked_of_each_launch():
    def support(launch, **changes):
        said = AirflowOrchestrator(settings(launch, **changes)).supports
        return [said[name] for name in ("cpu", "memory", "gpu", "accelerator")]

    assert support("python") == ["emulated", "refused", "refused", "refused"]
    assert support("docker") == ["native", "native", "native", "refused"]
    assert support("kubernetes") == ["native"] * 4
    assert support("kubernetes", kubernetes={}) == ["native", "native", "native", "refused"]


@pytest.mark.parametrize("launch", ["docker", "kubernetes"])
def test_the_suite_of_what_is_compiled(turnout_corpus, tmp_path, launch):
    stack = {"orchestrator": {"type": "airflow", "launch": launch, "image": "worker:1"}}
    trial = Trial(turnout_corpus, stack, tmp_path)
    suite = OrchestratorSuite()
    suite.test_every_capability_is_answered(trial)
    suite.test_bundles_are_data(trial)
    suite.test_bundles_are_parsed_without_turnout(trial)
    suite.test_texts_never_become_code(trial)


@pytest.mark.parametrize(
    ("resources", "docker", "kubernetes"),
    [
        (Resources(), [], []),
        (Resources(cpu=1), ["cpus=1"], ["requests={'cpu': '1'}"]),
        (Resources(cpu=0.5), ["cpus=0.5"], ["requests={'cpu': '0.5'}"]),
        (Resources(memory="2 Gi"), ["mem_limit='2g'"], ["requests={'memory': '2Gi'}", "limits={'memory': '2Gi'}"]),
    ],
)
def test_what_is_asked_for_is_written_and_nothing_else(resources, docker, kubernetes):
    plan = sample_plan(sample_step("fit", resources=resources))
    for launch, expected in (("docker", docker), ("kubernetes", kubernetes)):
        tree = ast.parse(
            AirflowOrchestrator(AirflowSettings(launch=launch, image="fit:1")).compile(plan).files["sample_dag.py"]
        )
        words = [word for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords]
        names = {"cpus", "mem_limit", "requests", "limits"}
        assert [f"{word.arg}={ast.unparse(word.value)}" for word in words if word.arg in names] == expected
