"""A step of turnout's own that is defined and run before others are: what it makes ready, forked processes share.

Python and libraries make much ready at its first use: types out of annotations, decoders, what lies in the folders that
modules come from. Where a process is forked for each step, each would make it ready anew.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import shutil
import sys

from turnout import __version__
from turnout.model.inputs import InputSpec, Literal
from turnout.model.plan import Code, OutputPlan, Plan, StepPlan
from turnout.model.records import RunInfo
from turnout.model.spec import Entrypoint
from turnout.model.types import ParamType, TypeName
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.stores.local import LocalStore
from turnout.stores.stored_run import Run


def number(given: int) -> int:
    """The step."""
    return given


_INT = TypeName(name="builtins:int", text="int")
_NUMBER = Entrypoint(module=__name__, qualname="number")
_STEP = StepPlan(
    name="rehearsal",
    entrypoint=_NUMBER,
    inputs={"given": InputSpec(source=Literal(value=1, type=ParamType(kind="int")), type=_INT)},
    outputs=(OutputPlan(name="output", type=_INT, materializer="json"),),
)
_PLAN = Plan(
    runtime=__version__,
    project="rehearsal",
    name="rehearsal",
    entrypoint=_NUMBER,
    orchestrator="local",
    stack="local",
    steps=(_STEP,),
    code=Code(digest="0" * 64),
)
_INFO = RunInfo(
    id="rehearsal",
    project="rehearsal",
    pipeline="rehearsal",
    plan="0" * 64,
    created="1970-01-01T00:00:00.000000Z",
    orchestrator="local",
    instance="default",
    stack="local",
    engine_run="rehearsal",
)


def rehearse(session: Session) -> None:
    """Define the step, where this process defines steps, and run it in a store of its own, which goes again.

    Whatever goes wrong is met again by a step, and said there. It runs as in a user's own process, of which nothing is
    changed: steps do not see that another was before them.
    """
    folder = session.work / "rehearsal"
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            Session(Run(LocalStore.from_url(str(folder)), _PLAN, _INFO), in_process=True, registry=session.registry)
        ) as rehearsed,
    ):
        importlib.import_module("logging")  # a step's process sets it up
        importlib.util.find_spec("turnout_rehearsal")  # there is none: what the folders hold is read for once
        if (definition := sys.modules.get("turnout.definition.step")) is not None:
            definition.step(number)
        run_step(rehearsed, _STEP.name)
    shutil.rmtree(folder, ignore_errors=True)
