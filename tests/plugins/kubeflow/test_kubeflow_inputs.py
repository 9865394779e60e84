"""Parameters through Kubeflow, whose numbers are floats and whose texts hold placeholders; answers back to it."""

from __future__ import annotations

import json
import re
import sys

import msgspec
import pytest

import turnout_kubeflow.local as local_module
from turnout.plugin_api import (
    Answer,
    Artifact,
    Options,
    OutputRecord,
    ParamSpec,
    ParamType,
    PluginError,
    Point,
    Record,
    StepResult,
    Submission,
)
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow import inputs
from turnout_kubeflow.launch import Task, main
from turnout_kubeflow.local import KubeflowLocalOrchestrator
from turnout_kubeflow.pipeline import PLACEHOLDERS
from turnout_kubeflow.settings import KubeflowLocalSettings

NASTY = 'it\'s "quoted" $(touch no) {{$.pipeline_job_uuid}} {{$}} python3 {{ 1 }} \\ \n 漢字'


def kind(name, *items, **more):
    return ParamType(kind=name, items=tuple(ParamType(kind=one) for one in items), **more)


VALUES = [
    ("whole", kind("int"), 3, "NUMBER_INTEGER"),
    ("big", kind("int"), 10**30, "NUMBER_INTEGER"),
    ("negative", kind("int"), -(2**53) - 1, "NUMBER_INTEGER"),
    ("ratio", kind("float"), 0.1, "NUMBER_DOUBLE"),
    ("flag", kind("bool"), True, "BOOLEAN"),
    ("text", kind("str"), NASTY, "STRING"),
    ("plain", kind("str"), "", "STRING"),
    ("argo", kind("list", "str"), ["of {{workflow.name}}"], "LIST"),
    ("nothing", kind("int", optional=True), None, "NUMBER_INTEGER"),
    ("moment", kind("datetime"), "2026-03-01T08:30:00Z", "STRING"),
    ("span", kind("timedelta"), 90, "NUMBER_DOUBLE"),
    ("numbers", kind("list", "int"), [3, 1, 2], "LIST"),
    ("table", kind("dict", "float"), {"y": 2.0, "x": 1.5}, "STRUCT"),
    ("tree", kind("json"), {"b": [1, None, {"c": 2.0}], "a": "3"}, "STRING"),
    ("open", kind("dict", "json"), {"a": 1}, "STRING"),
    ("file", kind("file"), {"digest": "0" * 64, "suffix": ".csv"}, "STRING"),
    ("turnout", kind("str"), "its own", "STRING"),
    ("turnout_", kind("str"), "another", "STRING"),
    ("choice", kind("json", choices=("low", "high")), "high", "STRING"),
    ("ordered", kind("dict", "float"), {"a": 1.0, "b": 2.0, "$keys": ["b", "a"]}, "STRUCT"),
    ("tuples", kind("json"), {"a": {"$tuple": [1, 2]}, "b": 1, "$keys": ["b", "a"]}, "STRING"),
    ("pair", kind("list", "int", "str", sequence="fixed"), [1, "a"], "LIST"),
    ("tuple", kind("list", "int", sequence="any"), {"$tuple": [1, 2]}, "LIST"),
    ("sign", kind("float"), -0.0, "NUMBER_DOUBLE"),
    ("zone", kind("datetime"), "2026-10-25T02:30:00+01:00[Europe/Paris][fold=1]", "STRING"),
    ("naive", kind("datetime"), "2026-01-02T00:00:00[naive]", "STRING"),
    ("members", ParamType(kind="list", items=(kind("str", choices=("a", "b"), enum="shop:Shade"),)), ["b"], "LIST"),
]


def planned(**defaults):
    params = [
        ParamSpec(name=name, type=type_, required=name not in defaults, default=defaults.get(name))
        for name, type_, _, _ in VALUES
    ]
    return sample_plan(sample_step("fit"), params=tuple(params))


def through_kubeflow(arguments, opening="{{"):
    """What Kubeflow does to inputs: whole numbers become floats, placeholders are replaced, keys are sorted."""

    def changed(value):
        if isinstance(value, str):
            return re.sub(re.escape(opening) + r".*?\}\}", "REPLACED", value)
        if isinstance(value, dict):
            return {name: changed(value[name]) for name in sorted(value)}
        if isinstance(value, list):
            return [changed(item) for item in value]
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return {name: changed(value) for name, value in arguments.items()}


def received(plan, arguments, opening="{{"):
    texts = ",".join(param.name for param in plan.params if inputs.is_json(param.type))
    given = {"inputs": {"parameterValues": through_kubeflow(arguments, opening)}}
    return Task(given, {"TURNOUT_PLAN": plan.digest, "TURNOUT_JSON_INPUTS": texts, "TURNOUT_ENGINE_RUN": "7"})


def bound(plan, submission):
    """The parameters as the runtime reads them."""
    from turnout.runtime import parameters

    return parameters.bind(plan, submission.params, submission.options)


def test_every_type_arrives_as_it_was_given():
    plan = planned()
    params = {name: value for name, _, value, _ in VALUES}
    arguments = inputs.arguments(plan, params, {"options": {"tags": {"a": NASTY}}})
    assert set(arguments) == set(inputs.definitions(plan)), "kfp.local cannot go without an input"
    kinds = {"LIST": list, "STRUCT": dict, "STRING": str}
    for name, _, _, expected in VALUES:
        assert isinstance(arguments[inputs.key(name)], kinds.get(expected, object)), "kfp.local checks the types"
    call = received(plan, arguments)
    assert call.engine_run == "7"
    assert call.submission.options.tags == {"a": NASTY}
    found = bound(plan, call.submission)
    assert json.dumps(found, sort_keys=True) == json.dumps(params, sort_keys=True)
    assert {name: type(value) for name, value in found.items()} == {name: type(one) for name, one in params.items()}


def test_defaults_are_kubeflows_where_it_can_carry_them():
    plan = planned(**{name: value for name, _, value, _ in VALUES})
    found = inputs.definitions(plan)
    without = {name for name, one in found.items() if "defaultValue" not in one}
    assert without == {"big", "negative", "text", "nothing", "sign"}
    assert found["ordered"]["defaultValue"] == {"b": 2.0, "a": 1.0}, "a person reads it"
    assert all(one["isOptional"] for one in found.values())
    given = {name: one["defaultValue"] for name, one in found.items() if "defaultValue" in one}
    assert bound(plan, received(plan, given, "{{$").submission) == {name: value for name, _, value, _ in VALUES}


@pytest.mark.parametrize(("name", "expected"), [(name, expected) for name, _, _, expected in VALUES])
def test_inputs_are_typed(name, expected):
    assert inputs.definitions(planned())[inputs.key(name)]["parameterType"] == expected


def test_what_was_given_by_hand_is_what_counts():
    plan = planned()
    given = {inputs.key(name): inputs.rendered(value, type_) for name, type_, value, _ in VALUES}
    params = received(plan, {**given, "whole": 8, "nothing": None}).submission.params
    assert params["whole"] == 8
    assert "nothing" not in params
    assert params["turnout"] == "its own"


def test_an_element_is_told_its_index():
    given = {"inputs": {"parameterValues": {"element-loop-item": 2.0}}}
    assert Task(given, {"TURNOUT_PLAN": "0"}).index == 2


def test_kubeflow_says_which_run_it_is_and_when():
    given = {"inputs": {"parameterValues": {"engine-run": "native", "engine-time": "2026-03-01T06:00:00Z"}}}
    call = Task(given, {"TURNOUT_PLAN": "0"})
    assert (call.engine_run, call.submission) == (
        "native",
        Submission(options=Options(at="2026-03-01T06:00:00Z", started_by="kubeflow")),
    )


def test_what_kubeflow_left_as_it_was_says_nothing(capsys):
    """A back end that does not know a placeholder hands it on; all of its runs would be taken for one."""
    given = {"inputs": {"parameterValues": dict(PLACEHOLDERS)}}
    call = Task(given, {"TURNOUT_PLAN": "0"})
    assert (call.engine_run, call.submission.options.at) == ("", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TURNOUT_PLAN", "0")
        assert main(["--executor-input", json.dumps(given)]) == 2
    assert "does not tell its id of the run" in capsys.readouterr().err


def answered(record, result, **outputs):
    given = {"outputs": {"outputFile": "/x", **outputs}}
    call = Task(given, {"TURNOUT_PLAN": "0", "TURNOUT_STEP": "fit"})
    return call.told(Answer(0, result, record, "s3://bucket/root/"))


def waiting(*names):
    return {name: {"artifacts": [{"name": name, "uri": f"minio://{name}", "metadata": {}}]} for name in names}


def test_artifacts_carry_digest_and_address():
    big = Artifact(digest="d1", materializer="parquet", type="pandas:DataFrame", size=9)
    small = Artifact(digest="d2", materializer="json", type="builtins:dict", inline=True, value={"r2": 0.5, "x": [1]})
    many = OutputRecord(elements=(big, small))
    record = Record(
        run="r",
        step="fit",
        state="succeeded",
        outputs={"rows": OutputRecord(artifact=big), "report": OutputRecord(artifact=small), "parts": many},
    )
    record = msgspec.structs.replace(
        record,
        logged=msgspec.structs.replace(
            record.logged, points=(Point("loss", 0.25, 0, "t"), Point("loss", 0.125, 1, "t"))
        ),
    )
    result = StepResult(state="succeeded", elements={"parts": 2})
    outputs = {
        "artifacts": waiting("rows", "report", "parts", "logged-metrics"),
        "parameters": {"parts-indices": {"outputFile": "/y"}},
    }
    found = answered(record, result, **outputs)
    assert found["parameterValues"] == {"parts-indices": [0, 1]}
    shown = {name: one["artifacts"][0] for name, one in found["artifacts"].items()}
    assert shown["rows"]["uri"] == "minio://rows", "its launcher refuses what is not in Kubeflow's own store"
    assert shown["rows"]["metadata"]["uri"] == "s3://bucket/root/artifacts/d1"
    assert shown["rows"]["metadata"]["digest"] == "d1"
    assert "uri" not in shown["report"]["metadata"]
    assert shown["report"]["metadata"]["r2"] == 0.5
    assert shown["parts"]["metadata"]["digests"] == ["d1", "d2"]
    assert shown["logged-metrics"]["metadata"]["loss"] == 0.125


def test_numbers_that_json_cannot_hold_are_shown_as_texts():
    """A back end would refuse the bare word NaN, and fail a step that did its work."""
    nan = {"$float": "nan"}
    record = Record(
        run="r",
        step="fit",
        state="succeeded",
        outputs={
            name: OutputRecord(artifact=Artifact(digest="d", materializer="json", type="t", inline=True, value=value))
            for name, value in (("one", nan), ("scores", {"r2": nan, "rows": 3}))
        },
    )
    found = answered(record, StepResult(state="succeeded"), artifacts=waiting("one", "scores"))
    shown = {name: one["artifacts"][0]["metadata"] for name, one in found["artifacts"].items()}
    assert shown["one"]["value"] == "nan"
    assert (shown["scores"]["r2"], shown["scores"]["rows"]) == ("nan", 3)


def test_of_many_elements_only_the_number_is_told():
    many = tuple(Artifact(digest=f"d{number}", materializer="json", type="builtins:int") for number in range(101))
    record = Record(run="r", step="fit", state="succeeded", outputs={"parts": OutputRecord(elements=many)})
    found = answered(record, StepResult(state="succeeded"), artifacts=waiting("parts"))
    metadata = found["artifacts"]["parts"]["artifacts"][0]["metadata"]
    assert metadata == {"run": "r", "step": "fit", "state": "succeeded", "elements": 101}


def test_what_was_skipped_tells_false_and_nothing_to_repeat():
    record = Record(run="r", step="fit", state="skipped", reason="a guard is false")
    outputs = {"artifacts": waiting("rows"), "parameters": {"value": {}, "parts-indices": {}}}
    found = answered(record, StepResult(state="skipped"), **outputs)
    assert found["parameterValues"] == {"value": False, "parts-indices": []}
    assert found["artifacts"]["rows"]["artifacts"][0]["metadata"] == {"run": "r", "step": "fit", "state": "skipped"}


def test_without_kfp_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(local_module, "find_spec", lambda name: None)
    orchestrator = KubeflowLocalOrchestrator(KubeflowLocalSettings(folder=str(tmp_path)))
    with pytest.raises(PluginError) as caught:
        orchestrator.submit(planned(), orchestrator.compile(planned()), Submission(), None)
    assert caught.value.fix == 'pip install "turnout-kubeflow[kfp]"'


def test_nothing_of_kfp_is_imported():
    assert "kfp" not in sys.modules
