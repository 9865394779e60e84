"""The files that Seldon's microservice and MLServer are given; what they do is tried in the real ones."""

from __future__ import annotations

import ast
import json

import msgspec
import pytest
from packaging.requirements import Requirement

from turnout.model.endpoint_plan import Column, EndpointPlan, Request
from turnout.model.inputs import InputSpec, Output, Param
from turnout.model.plan import Code, Environment, OutputPlan, StepPlan
from turnout.model.spec import Entrypoint
from turnout.model.types import TypeName
from turnout_seldon import microservice, mlserver

TABLE = TypeName(name="pandas:DataFrame", text="DataFrame")


@pytest.fixture
def endpoint() -> EndpointPlan:
    step = StepPlan(
        name="predict",
        entrypoint=Entrypoint(module="delays", qualname="predict"),
        inputs={"rows": InputSpec(source=Param(name="rows"), type=TABLE)},
        outputs=(OutputPlan(name="output", type=TABLE, materializer="table"),),
    )
    return EndpointPlan(
        project="flights",
        name="delay",
        pipeline="train",
        entrypoint=Entrypoint(module="delays", qualname="delay"),
        requests=(Request(name="rows", type=TABLE, columns=(Column(name="distance", type="double"),)),),
        steps=(step,),
        answer=Output(step="predict", output="output"),
        run="abcdefghij234567abcd",
        stack="seldon",
        code=Code(digest="2" * 64),
        environment=Environment(python="3.11"),
    )


def test_the_microservice_is_the_same_for_every_endpoint() -> None:
    files = microservice.files()
    assert files == microservice.files()
    assert sorted(files) == ["microservice/Dockerfile", "microservice/Endpoint.py", "microservice/requirements.txt"]
    classes = [
        node.name for node in ast.parse(files["microservice/Endpoint.py"]).body if isinstance(node, ast.ClassDef)
    ]
    assert microservice.INTERFACE in classes


def test_the_last_release_under_the_apache_licence_is_required() -> None:
    text = microservice.files()["microservice/requirements.txt"].decode()
    lines = [Requirement(line.partition("#")[0]) for line in text.splitlines() if not line.startswith("#")]
    allowed = {one.name: one.specifier for one in lines}["seldon-core"]
    assert [version for version in ("1.17.0", "1.17.1", "1.18.0", "1.19.0") if version in allowed] == ["1.17.1"]
    assert "Business Source License" in text


def test_metadata_is_of_the_endpoint(endpoint: EndpointPlan) -> None:
    told = microservice.metadata(endpoint)
    assert (told["name"], told["versions"]) == ("delay", [endpoint.digest[:12]])
    assert told["inputs"] == [{"name": "distance", "datatype": "FP64", "shape": [-1]}]


def test_a_model_of_mlserver(endpoint: EndpointPlan) -> None:
    files = mlserver.files(endpoint)
    settings = json.loads(files["mlserver/model-settings.json"])
    module, _, name = settings["implementation"].partition(".")
    runtime = files[f"mlserver/{module}.py"].decode()
    assert name == "Endpoint"
    assert settings["parameters"] == {"version": endpoint.digest[:12]}
    assert 'ENDPOINT = "delay"' in runtime
    assert files == mlserver.files(endpoint)


def test_models_of_one_server_share_no_module(endpoint: EndpointPlan) -> None:
    """They are imported into one process: of modules with one name all models would get the first."""
    other = msgspec.structs.replace(endpoint, name="x'; import os #")
    modules = {name for one in (endpoint, other) for name in mlserver.files(one) if name.endswith(".py")}
    assert len(modules) == 2
    again = msgspec.structs.replace(endpoint, doc="another version")
    assert len(modules | {name for name in mlserver.files(again) if name.endswith(".py")}) == 2
    for data in (data for name, data in mlserver.files(other).items() if name.endswith(".py")):
        (value,) = [
            node.value
            for node in ast.parse(data).body
            if isinstance(node, ast.Assign) and node.targets[0].id == "ENDPOINT"  # type: ignore[attr-defined]
        ]
        assert ast.literal_eval(value) == other.name
