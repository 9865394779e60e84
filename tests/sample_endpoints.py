"""Plans of endpoints for tests, made by hand: no run is needed where nothing is served."""

from __future__ import annotations

from typing import Any

from turnout.model.endpoint_plan import Binding, Column, EndpointPlan, Request
from turnout.model.inputs import InputSpec, Output, Param
from turnout.model.plan import Code, Component, Environment, OutputPlan, StepPlan, Worker
from turnout.model.records import Artifact
from turnout.model.spec import Entrypoint, Place
from turnout.model.types import TypeName

TABLE = TypeName(name="pandas:DataFrame", text="DataFrame")


def sample_endpoint(name: str = "delay", steps: tuple[str, ...] = ("predict",), **fields: Any) -> EndpointPlan:
    """A plan of an endpoint whose steps hand a table on.

    Args:
        fields: whatever else of the plan shall differ; ``secrets`` are those of its first step, ``columns`` of a request.
    """
    secrets, columns = fields.pop("secrets", {}), fields.pop("columns", ("distance",))
    artifact = Artifact(digest="1" * 64, materializer="json", type="builtins:float", size=3)
    given: dict[str, Any] = {
        "project": "flights",
        "pipeline": "train",
        "entrypoint": Entrypoint(module="delays", qualname=name),
        "requests": (
            Request(name="rows", type=TABLE, columns=tuple(Column(name=one, type="double") for one in columns)),
        ),
        "steps": tuple(_step(one, steps[n - 1] if n else "", {} if n else secrets) for n, one in enumerate(steps)),
        "answer": Output(step=steps[-1], output="output"),
        "bindings": (
            Binding(step="fit", output="output", run="abcdefghij234567abcd", asked="latest", artifact=artifact),
        ),
        "run": "abcdefghij234567abcd",
        "stack": "kserve",
        "worker": Worker(secrets=Component(type="env", config={"prefix": "S_"})),
        "code": Code(digest="2" * 64),
        "environment": Environment(python="3.11", pins=("numpy==2.0.0",)),
        "place": Place("delays.py", 30),
    }
    return EndpointPlan(name=name, **{**given, **fields})


def _step(name: str, before: str, secrets: dict[str, str]) -> StepPlan:
    source = Output(step=before, output="output") if before else Param(name="rows")
    return StepPlan(
        name=name,
        entrypoint=Entrypoint(module="delays", qualname=name),
        inputs={"rows": InputSpec(source=source, type=TABLE)},
        outputs=(OutputPlan(name="output", type=TABLE, materializer="table"),),
        secrets=secrets,
        fingerprint="0" * 64,
        place=Place("delays.py", 7),
    )
