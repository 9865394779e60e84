"""Plans for tests: valid, small, and different only where a test says so."""

from __future__ import annotations

from typing import Any

from turnout.model.plan import MINIMUM_RUNTIME, Code, Environment, OutputPlan, Plan, StepPlan
from turnout.model.records import RunInfo
from turnout.model.spec import Entrypoint, Place
from turnout.model.types import TypeName


def sample_step(name: str = "fit", *, materializer: str = "json", value: str | None = None, **fields: Any) -> StepPlan:
    """A step without inputs and with one output.

    Args:
        materializer: the output's.
        value: the digest of the function's pickle, for one that travels by value.
        fields: whatever else of :class:`turnout.plugin_api.StepPlan` shall differ.
    """
    given: dict[str, Any] = {
        "entrypoint": Entrypoint(module="steps", qualname=name, value=value),
        "outputs": (
            OutputPlan(name="output", type=TypeName(name="builtins:int", text="int"), materializer=materializer),
        ),
        "place": Place("steps.py", 7),
        "fingerprint": "0" * 64,
    }
    return StepPlan(name=name, **{**given, **fields})


def sample_plan(*steps: StepPlan, **fields: Any) -> Plan:
    """A plan of these steps, or of one.

    Args:
        fields: whatever else of :class:`turnout.plugin_api.Plan` shall differ.
    """
    given: dict[str, Any] = {
        "runtime": MINIMUM_RUNTIME,
        "project": "sample",
        "name": "sample",
        "entrypoint": Entrypoint(module="pipelines", qualname="sample"),
        "place": Place("pipelines.py", 3),
        "orchestrator": "local",
        "stack": "sample",
        "code": Code(digest="0" * 64),
        "environments": {"default": Environment(python="3.11")},
    }
    return Plan(steps=steps or (sample_step(),), **{**given, **fields})


def sample_run(run: str = "sample-1", **fields: Any) -> RunInfo:
    """A run of the sample plan.

    Args:
        fields: whatever else of :class:`turnout.plugin_api.RunInfo` shall differ.
    """
    given: dict[str, Any] = {
        "project": "sample",
        "pipeline": "sample",
        "plan": "0" * 64,
        "params": {"depth": 6},
        "created": "2026-01-31T12:00:00.000000Z",
        "started_by": "ann@example",
        "stack": "sample",
        "orchestrator": "local",
        "instance": "default",
        "engine_run": run,
    }
    return RunInfo(id=run, **{**given, **fields})
