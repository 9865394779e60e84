"""What a plan becomes as a specification of Kubeflow; nothing of Kubeflow is needed for it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from turnout.model.expressions import Compare, Const, Index, Ref
from turnout.plugin_api import (
    ArtifactError,
    Collected,
    ConfigError,
    Element,
    InputSpec,
    Literal,
    Output,
    OutputPlan,
    Param,
    ParamSpec,
    ParamType,
    Resources,
    Retry,
    Schedule,
    Submission,
    TypeName,
    UnsupportedError,
)
from turnout.testing import purity
from turnout.testing.corpus_project import Trial
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow.artifacts import schema
from turnout_kubeflow.local import KubeflowLocalOrchestrator
from turnout_kubeflow.orchestrator import KubeflowOrchestrator
from turnout_kubeflow.pipeline import LONGEST, PLACEHOLDERS, names
from turnout_kubeflow.settings import KubeflowLocalSettings, KubeflowSettings
from turnout_kubeflow.text import rendered

GOLDEN = Path(__file__).with_name("pipeline.yaml")
INT = TypeName(name="builtins:int", text="int")
TABLE = TypeName(name="pandas.core.frame:DataFrame", text="pd.DataFrame")
MODEL = TypeName(name="sklearn.linear_model:Ridge", bases=("sklearn.base:BaseEstimator",), text="Ridge")


def output(step, name="output"):
    return InputSpec(source=Output(step=step, output=name))


def gate(name, **inputs):
    return sample_step(name, kind="gate", entrypoint=None, inputs=inputs, outputs=())


def one_of_each():
    """A plan with all that a specification can hold."""
    return sample_plan(
        sample_step(
            "load",
            inputs={"count": InputSpec(source=Param(name="count"))},
            outputs=(OutputPlan(name="rows", type=TABLE), OutputPlan(name="parts", type=INT)),
            retry=Retry(count=2, delay=1.5, backoff=2.0, max_delay=60.0),
        ),
        sample_step(
            "fit",
            inputs={"rows": output("load", "rows")},
            outputs=(OutputPlan(name="output", type=MODEL),),
            timeout=90.0,
            resources=Resources(cpu=2, memory="4Gi", gpu=1),
            image="registry.example/fit:1",
        ),
        gate("good", model=output("fit")),
        sample_step("publish", inputs={"model": output("fit")}, guards=("good",)),
        sample_step(
            "score",
            inputs={"part": InputSpec(source=Element(step="load", output="parts")), "model": output("fit")},
            guards=("good",),
        ),
        sample_step("label", inputs={"score": InputSpec(source=Element(step="score", output="output"))}),
        sample_step("total", inputs={"labels": InputSpec(source=Collected(step="label", output="output"))}),
        name="every_thing",
        doc="All that a specification can hold.",
        params=(
            ParamSpec(name="count", type=ParamType(kind="int"), doc="How many."),
            ParamSpec(name="day", type=ParamType(kind="date"), required=False, default="2026-01-31"),
            ParamSpec(name="tree", type=ParamType(kind="json"), required=False, default={"a": [1, None]}),
            ParamSpec(name="at", type=ParamType(kind="datetime"), source="logical_time"),
        ),
    )


def compiled(plan, **settings):
    return KubeflowOrchestrator(KubeflowSettings(**settings)).compile(plan)


def document(plan, **settings):
    return yaml.safe_load(compiled(plan, **settings).files["pipeline.yaml"])


def tasks(plan):
    return document(plan)["components"]["comp-steps"]["dag"]["tasks"]


def test_a_specification_is_what_it_was():
    plan = one_of_each()
    text = compiled(plan, environment={"TURNOUT_STORE": "s3://bucket/turnout"}).files["pipeline.yaml"].decode()
    assert text.replace(plan.digest, "PLAN") == GOLDEN.read_text(encoding="utf-8")


def test_a_step_comes_after_what_it_needs():
    found = {name: task.get("dependentTasks", []) for name, task in tasks(one_of_each()).items()}
    assert found == {
        "load": [],
        "fit": ["load"],
        "good": ["fit"],
        "publish": ["fit", "good"],
        "score": ["fit", "good", "load"],
        "label": ["load", "score"],
        "total": ["label"],
    }


def test_no_task_is_answered_from_kubeflows_cache():
    found = document(one_of_each())
    dags = [found["root"], *(one for one in found["components"].values() if "dag" in one)]
    calls = [
        task
        for dag in dags
        for task in dag["dag"]["tasks"].values()
        if "executorLabel" in found["components"][task["componentRef"]["name"]]
    ]
    assert len(calls) == 8
    assert all(task["cachingOptions"] == {} for task in calls)


def type_of(source, around, siblings, components):
    """The type of what an artifact comes from: an input of the pipeline around it, or an output of a task beside it."""
    if "componentInputArtifact" in source:
        return around[source["componentInputArtifact"]]["artifactType"]
    told = source["taskOutputArtifact"]
    producer = components[siblings[told["producerTask"]]["componentRef"]["name"]]
    return producer["outputDefinitions"]["artifacts"][told["outputArtifactKey"]]["artifactType"]


def test_every_reference_leads_somewhere():
    """Each input comes from an output or an input that there is, of the same type."""
    found = document(one_of_each())
    components = found["components"]
    for owner in (found["root"], *components.values()):
        given = owner.get("inputDefinitions", {}).get("parameters", {})
        lineage = owner.get("inputDefinitions", {}).get("artifacts", {})
        siblings = owner.get("dag", {}).get("tasks", {})
        for task in siblings.values():
            definitions = components[task["componentRef"]["name"]]["inputDefinitions"]
            assert set(definitions["parameters"]).isdisjoint(definitions.get("artifacts", {}))
            assert {name: one["artifactType"] for name, one in definitions.get("artifacts", {}).items()} == {
                name: type_of(source, lineage, siblings, components)
                for name, source in task["inputs"].get("artifacts", {}).items()
            }
            wanted = definitions["parameters"]
            iterated = {task["parameterIterator"]["itemInput"]} if "parameterIterator" in task else set()
            assert set(wanted) == set(task["inputs"]["parameters"]) | iterated
            for source in task["inputs"]["parameters"].values():
                if "componentInputParameter" in source:
                    assert source["componentInputParameter"] in given
                elif "taskOutputParameter" in source:
                    told = source["taskOutputParameter"]
                    producer = components[siblings[told["producerTask"]]["componentRef"]["name"]]
                    assert told["outputParameterKey"] in producer["outputDefinitions"]["parameters"]
                elif "taskFinalStatus" in source:
                    assert siblings[source["taskFinalStatus"]["producerTask"]]
                else:
                    assert source["runtimeValue"]["constant"] in PLACEHOLDERS.values()
                    assert "executorLabel" in components[task["componentRef"]["name"]], "told where it is used"


def test_gates_and_what_is_counted_are_called_whatever_their_guards():
    """Nothing outside of a condition can take a value from inside of it; the runtime knows the skip."""
    plan = sample_plan(
        gate("outer"),
        sample_step("numbers", guards=("outer",)),
        gate("inner", value=output("numbers")),
        sample_step(
            "each", inputs={"n": InputSpec(source=Element(step="numbers", output="output"))}, guards=("outer",)
        ),
        sample_step("last", guards=("outer", "inner")),
    )
    found = tasks(plan)
    names = {name: task["componentRef"]["name"] for name, task in found.items()}
    assert names == {
        "outer": "comp-outer",
        "numbers": "comp-numbers",
        "inner": "comp-inner",
        "each": "comp-when-each",
        "last": "comp-when-last",
    }
    inner = document(plan)["components"]["comp-when-last"]["dag"]["tasks"]["if"]
    assert inner["triggerPolicy"]["condition"] == (
        "inputs.parameter_values['guard-1'] == true && inputs.parameter_values['guard-2'] == true"
    )


def test_a_run_is_told_apart_by_kubeflows_id_of_it():
    """Kubeflow fills it in only where it is all of a task's constant input, never within a container's command."""
    moment = ParamSpec(name="day", type=ParamType(kind="datetime"), source="logical_time")
    plan = sample_plan(sample_step("fit"), params=(moment,))
    for timed, own in ((False, ["engine-run"]), (True, ["engine-run", "engine-time"])):
        found = yaml.safe_load(rendered(plan, KubeflowSettings(), timed=timed))
        components = found["components"]
        for task in (components["comp-steps"]["dag"]["tasks"]["fit"], found["root"]["dag"]["tasks"]["finish"]):
            told = {name: one for name, one in task["inputs"]["parameters"].items() if "runtimeValue" in one}
            assert told == {name: {"runtimeValue": {"constant": PLACEHOLDERS[name]}} for name in own}
        assert "{{$." not in json.dumps(found["deploymentSpec"])
        assert set(own) <= set(components["comp-fit"]["inputDefinitions"]["parameters"])


def test_kubeflow_is_told_what_a_step_reads_of_others():
    """Lineage, as far as Kubeflow can follow it: it takes nothing out of a condition or a loop that may be empty."""
    found = document(one_of_each())["components"]
    assert {name: one["inputs"].get("artifacts") for name, one in found["comp-steps"]["dag"]["tasks"].items()} == {
        "load": None,
        "fit": {"rows": made("load", "rows")},
        "good": {"model": made("fit", "output")},
        "publish": {"model": made("fit", "output")},
        "score": {"part": made("load", "parts"), "model": made("fit", "output")},
        "label": None,
        "total": None,
    }
    (each,) = found["comp-if-score"]["dag"]["tasks"].values()
    (one,) = found["comp-one-score"]["dag"]["tasks"].values()
    passed = {name: {"componentInputArtifact": name} for name in ("part", "model")}
    assert each["inputs"]["artifacts"] == one["inputs"]["artifacts"] == passed
    assert found["comp-score"]["inputDefinitions"]["artifacts"] == {
        "part": {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}},
        "model": {"artifactType": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}},
    }


def made(task, key):
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


def test_what_a_step_reads_may_be_called_like_a_parameter():
    plan = sample_plan(
        sample_step("clean"),
        sample_step("fit", inputs={"rows": output("clean"), "turnout": output("clean")}),
        params=(ParamSpec(name="rows", type=ParamType(kind="int"), required=False, default=1),),
    )
    assert set(tasks(plan)["fit"]["inputs"]["artifacts"]) == {"rows-artifact", "turnout-artifact"}


def test_what_is_told_to_begin_with():
    """Comments a person reads: where a step is in the files, and what it is for, whatever is written there."""
    doc = "  Fit\ta \x07model: it's # the {{best}}.\n\nMore of it."
    plan = sample_plan(sample_step("a.fit", doc=doc), gate("good"), sample_step("publish", guards=("good",)))
    head = compiled(plan).files["pipeline.yaml"].decode().split("pipelineInfo:")[0]
    assert "#   a-fit (steps.py:7): Fit a model: it's # the {{best}}.\n" in head
    assert "A guarded step" in head
    assert "loops over the indices" not in head
    assert all(line.startswith("#") for line in head.splitlines())


def test_a_component_is_given_the_parameters_that_it_and_its_steps_need():
    """All of them where it may be called first: that call writes down what the run was given."""

    def uses(*names):
        return {name: InputSpec(source=Param(name=name)) for name in names}

    params = tuple(ParamSpec(name=name, type=ParamType(kind="int"), required=False, default=1) for name in "abcd")
    day = ParamSpec(name="day", type=ParamType(kind="datetime"), source="logical_time")
    tree = ParamSpec(name="tree", type=ParamType(kind="json"), required=False, default=1)
    parts = (OutputPlan(name="parts", type=INT),)
    plan = sample_plan(
        sample_step("load", inputs=uses("a"), outputs=parts),
        sample_step("other", inputs=uses("d")),
        sample_step("fit", inputs={"x": output("load", "parts"), **uses("b", "day")}),
        gate("good", model=output("fit"), **uses("c")),
        sample_step(
            "score",
            guards=("good",),
            inputs={"part": InputSpec(source=Element(step="load", output="parts")), **uses("d")},
        ),
        sample_step(
            "total", inputs={"all": InputSpec(source=Collected(step="score", output="output")), **uses("tree")}
        ),
        params=(*params, day, tree),
    )

    def given(orchestrator):
        found = yaml.safe_load(orchestrator.compile(plan).files["pipeline.yaml"])
        components = found["components"]
        json_inputs = {
            name.removeprefix("exec-"): [
                each["value"] for each in executor["container"]["env"] if "JSON" in each["name"]
            ]
            for name, executor in found["deploymentSpec"]["executors"].items()
        }
        assert {name for name, values in json_inputs.items() if values == ["tree"]} == {
            "load",
            "other",
            "total",
            "finish",
        }
        return {
            name.removeprefix("comp-"): set(one["inputDefinitions"]["parameters"]) for name, one in components.items()
        }

    every, run = {*"abcd", "tree", "turnout"}, "engine-run"
    for orchestrator, time in (
        (KubeflowOrchestrator(KubeflowSettings()), {"engine-time"}),
        (KubeflowLocalOrchestrator(KubeflowLocalSettings()), set()),
    ):
        found = given(orchestrator)
        assert found.pop("finish") == every | time | {run, "task-status"}
        assert found.pop("steps") == every
        assert found.pop("load") == found.pop("other") == every | time | {run}
        assert found == {
            "fit": {"b", run},
            "good": {"c", run},
            "score": {"d", "element-loop-item", run},
            "one-score": {"d", "element-loop-item", "element-indices"},
            "if-score": {"d", "guard-1", "element-indices"},
            "when-score": {"d", "guard-1", "element-indices"},
            "total": {"tree", run},
        }


@pytest.mark.parametrize(
    ("steps", "params", "oldest"),
    [
        ((sample_step(),), (), "2.4"),
        ((sample_step(retry=Retry(count=1)),), (), "2.5"),
        ((sample_step(retry=Retry(never=True)),), (), "2.4"),
        ((sample_step(),), (ParamSpec(name="at", type=ParamType(kind="datetime"), source="logical_time"),), "2.17"),
    ],
)
def test_the_oldest_back_end_is_said(steps, params, oldest):
    text = compiled(sample_plan(*steps, params=params)).files["pipeline.yaml"].decode()
    assert text.startswith(f"# The pipeline sample for Kubeflow Pipelines {oldest} and newer.\n")


def test_a_gate_is_told_by_its_condition():
    expression = Compare("<", Index(Ref("model"), "error"), Const(0.1))
    decide = gate("good", model=output("fit"))
    plan = sample_plan(sample_step("fit"), msgspec.structs.replace(decide, expression=expression))
    text = compiled(plan).files["pipeline.yaml"].decode()
    assert "#   good (steps.py:7): Decides: model['error'] < 0.1\n" in text


@pytest.mark.parametrize(
    ("retry", "policy"),
    [
        (Retry(count=3, delay=7200.0, backoff=2.0), {"backoffDuration": "7200s", "backoffFactor": 2.0}),
        (Retry(count=3, delay=7200.0), {"backoffDuration": "7200s", "backoffFactor": 1.0}),
        (Retry(count=1, delay=0.25), {"backoffDuration": "1s", "backoffFactor": 1.0}),
        (Retry(count=12, delay=3600.0, backoff=2.0), {"backoffDuration": "3600s", "backoffFactor": 2.0}),
    ],
)
def test_the_window_of_all_retries_has_room_for_each(retry, policy):
    step = sample_step("fit", retry=retry)
    found = document(sample_plan(step))["components"]["comp-steps"]["dag"]["tasks"]["fit"]["retryPolicy"]
    window = int(found.pop("backoffMaxDuration").removesuffix("s"))
    assert found == {"maxRetryCount": retry.count, **policy}
    assert sum(retry.wait(number) for number in range(1, retry.count + 1)) + 30 * 86_400 < window < 9_000_000_000


def test_delays_that_grow_by_no_whole_factor_are_refused():
    step = sample_step("fit", retry=Retry(count=2, delay=1.0, backoff=1.5))
    with pytest.raises(UnsupportedError, match=r"grow by the factor 1\.5") as caught:
        compiled(sample_plan(step))
    assert str(caught.value.where) == "steps.py:7"
    assert compiled(sample_plan(msgspec.structs.replace(step, retry=Retry(count=0, backoff=1.5)))).files


def test_cores_and_timeouts_are_decimals():
    """A quantity has no exponent, whatever its size."""
    step = sample_step(
        "fit",
        timeout=1234567.5,
        resources=Resources(cpu=0.00005),
    )
    found = document(sample_plan(step))
    container = found["deploymentSpec"]["executors"]["exec-fit"]["container"]
    assert {"name": "TURNOUT_TIMEOUT", "value": "1234567.5"} in container["env"]
    assert container["resources"]["resourceCpuLimit"] == "0.00005"


def test_what_older_back_ends_find_by_its_shown_name_is_shown_by_its_own():
    found = document(one_of_each())
    for owner in (found["root"], *found["components"].values()):
        for name, task in owner.get("dag", {}).get("tasks", {}).items():
            assert task["taskInfo"] == {"name": name}


def test_names_are_valid_and_never_meet():
    given = ["a_b", "a__b", "a.b", "A_B", "ab", "steps", "finish", "import", "None", "x" * 150, "x" * 151, "_", "9"]
    unique = names("steps", "finish")
    taken = [unique.take(name) for name in given]
    assert len(set(taken)) == len(given)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) and len(name) <= LONGEST for name in taken)
    again = names("steps", "finish")
    assert [again.take(name) for name in given] == taken


def test_no_name_meets_one_that_kubeflow_makes():
    """Its back end makes a task ``fit-driver`` beside ``fit``, and templates ``…-iteration`` of a loop."""
    made = ("", "-driver", "-iteration", "-each-iterator")
    for given in itertools.permutations(["fit", "fit_driver", "fit.driver", "fit_iteration", "fit_each_iterator"]):
        unique = names()
        taken = [unique.take(name) + more for name in given for more in made]
        assert len(set(taken)) == len(taken)


def test_the_longest_name_of_a_pipeline_is_cut():
    info = document(sample_plan(sample_step("fit"), name="n" * 300))["pipelineInfo"]
    assert len(info["name"]) <= LONGEST
    assert info["displayName"] == "n" * 300


def test_it_grows_with_the_steps_and_no_faster():
    def lines(count):
        before = [{}] + [{"x": output(f"step_{number}")} for number in range(count - 1)]
        plan = sample_plan(*(sample_step(f"step_{number}", inputs=given) for number, given in enumerate(before)))
        return compiled(plan).files["pipeline.yaml"].count(b"\n")

    sizes = [lines(count) for count in (200, 400, 600)]
    assert len({later - earlier for earlier, later in itertools.pairwise(sizes)}) == 1


def test_yaml_is_the_same_with_and_without_the_library_in_c(monkeypatch):
    plan = sample_plan(
        sample_step("fit", doc="it's {{ a }}: 漢字 ☃\n\tnew line"),
        sample_step("plain", image="several\n  lines: # of 'plain' text, ² 漢\n\nwith a blank one"),
        sample_step("odd", image="ends in a blank \nline\u2028\n\n"),
        doc='it\'s "quoted" {{ 1 + 1 }}: - # 漢字 ☃ \u2028\n\nnew line\t end \\ ' + "long " * 60,
        params=(ParamSpec(name="text", type=ParamType(kind="str"), required=False, default=" a\n\n b: '#' \x85 é 🚂"),),
    )
    quick = rendered(plan, KubeflowSettings(), timed=True)
    read = yaml.safe_load(quick)["deploymentSpec"]["executors"]
    for step in plan.steps[1:]:
        assert read[f"exec-{step.name}"]["container"]["image"] == step.image
    monkeypatch.delattr(yaml, "CSafeDumper", raising=False)
    assert rendered(plan, KubeflowSettings(), timed=True) == quick


def test_texts_stay_texts():
    wild = "x'; import os #\n$(touch no) `no` {{$.pipeline_job_uuid}} {{ 1 }} : - | >"
    plan = sample_plan(sample_step("fit"), name="wild", doc=wild, tags={"a": wild})
    found = document(plan, image="python:3.11", install=("a; rm -rf /", "b>=1"))
    assert found["pipelineInfo"]["description"] == wild
    script = found["deploymentSpec"]["executors"]["exec-fit"]["container"]["command"][2]
    assert "pip install --quiet 'a; rm -rf /' 'b>=1'\n" in script


def test_an_image_starts_the_launcher_itself():
    container = document(one_of_each(), launch="image", image="team/base:2")["deploymentSpec"]["executors"]
    assert container["exec-load"]["container"]["image"] == "team/base:2"
    assert container["exec-fit"]["container"]["image"] == "registry.example/fit:1"
    assert container["exec-load"]["container"]["command"] == ["python3", "-m", "turnout_kubeflow.launch"]


@pytest.mark.parametrize(
    ("declared", "title"),
    [
        (TABLE, "system.Dataset"),
        (MODEL, "system.Model"),
        (TypeName(name="builtins:dict", text="dict[str, float]"), "system.Metrics"),
        (TypeName(name="plotly.graph_objs._figure:Figure", text="Figure"), "system.HTML"),
        (INT, "system.Artifact"),
    ],
)
def test_outputs_have_the_type_that_fits(declared, title):
    assert schema(declared) == title


def test_compiling_is_pure(tmp_path, turnout_corpus):
    """The corpus on both orchestrators: the same bytes in any process, and nothing is written or started."""
    folder = tmp_path / "trial"
    folder.mkdir()
    trial = Trial(turnout_corpus, {"orchestrator": {"type": "kubeflow"}}, folder)
    plans = [trial.launch(name, accept=trial.refused).plan for name in ("quoted", "guarded_map", "names", "timed")]
    for number, one in enumerate(
        (KubeflowOrchestrator(KubeflowSettings()), KubeflowLocalOrchestrator(KubeflowLocalSettings()))
    ):
        here = tuple(purity.digest(one.compile(plan)) for plan in plans)
        elsewhere = purity.compile_elsewhere(one, plans, tmp_path / str(number), 7, TZ="Asia/Tokyo", HOME="/nowhere")
        assert elsewhere.effects == ()
        assert elsewhere.digests == here


def test_what_cannot_be_started_says_what_can():
    plan = sample_plan(sample_step("fit", inputs={"x": InputSpec(source=Literal(value=1))}))
    with pytest.raises(ConfigError, match="gives no URL of Kubeflow Pipelines"):
        KubeflowOrchestrator(KubeflowSettings()).submit(plan, compiled(plan), Submission(), None)


def test_a_step_that_would_not_find_its_store_is_noted():
    assert ["TURNOUT_STORE" in note for note in compiled(one_of_each()).notes] == [True]
    assert compiled(one_of_each(), environment={"TURNOUT_STORE": "s3://bucket/turnout"}).notes == ()
    assert KubeflowLocalOrchestrator(KubeflowLocalSettings()).compile(one_of_each()).notes == ()


def test_a_schedule_is_said_to_be_no_part_of_the_file():
    plan = sample_plan(sample_step("fit"), schedule=Schedule(cron="@daily"))
    assert ["turnout publish" in note for note in compiled(plan, environment={"TURNOUT_STORE": "s3://b"}).notes] == [
        True
    ]
    assert KubeflowLocalOrchestrator(KubeflowLocalSettings()).compile(plan).notes == ()


def test_what_a_cluster_cannot_give_is_refused_by_the_line(tmp_path, turnout_corpus):
    trial = Trial(turnout_corpus, {"orchestrator": {"type": "kubeflow"}}, tmp_path)
    assert set(trial.refused) == {"asset_schedule", "interval"}
    with pytest.raises(UnsupportedError, match="an end of the run's interval") as caught:
        trial.launch("demands")
    assert str(caught.value.where).startswith("corpus_pipelines.py:")
    assert "--accept interval" in caught.value.fix


def test_where_logs_are():
    orchestrator = KubeflowOrchestrator(KubeflowSettings(url="https://kubeflow.example/pipeline/", namespace="team-a"))
    with pytest.raises(ArtifactError) as caught:
        orchestrator.logs(one_of_each(), "1234", "fit")
    assert caught.value.fix == (
        "see https://kubeflow.example/pipeline/#/runs/details/1234, or run: "
        "kubectl logs --namespace team-a --selector pipeline/runid=1234 --all-containers"
    )


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(), {}),
        (Resources(cpu=1), {"resourceCpuRequest": "1", "resourceCpuLimit": "1", "cpuRequest": 1.0, "cpuLimit": 1.0}),
        (
            Resources(memory="2 Gi"),
            {
                "resourceMemoryRequest": "2Gi",
                "resourceMemoryLimit": "2Gi",
                "memoryRequest": 2.147483648,
                "memoryLimit": 2.147483648,
            },
        ),
    ],
)
def test_resources_that_are_asked_for_are_written_and_no_others(resources, expected):
    found = document(sample_plan(sample_step("fit", resources=resources)))
    assert found["deploymentSpec"]["executors"]["exec-fit"]["container"].get("resources", {}) == expected
