"""The plan of an endpoint: steps over requests and over what a run of its pipeline made. All that a deployer sees."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from turnout.model import encoding
from turnout.model.encoding import Encoded, Placed
from turnout.model.inputs import Output
from turnout.model.plan import MINIMUM_RUNTIME, Code, Environment, StepPlan, Worker
from turnout.model.records import Artifact
from turnout.model.spec import Entrypoint, Place
from turnout.model.types import ParamType, TypeName

FORMAT = 1
"""The format version of endpoint plans that this turnout writes, and the newest it reads."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column of a request's table; ``type`` is Arrow's name of it, as of the table that the request is like."""

    name: str
    type: str
    nullable: bool = True


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One parameter of the endpoint, which each request gives.

    A table has ``columns``, and ``like`` is the artifact whose schema they are; without it any columns are taken.
    ``prototype`` is a table of these columns without rows, as an Arrow IPC stream in base64: its exact types, the
    categories among them, and what pandas notes of itself. What
    is no table has a ``value`` type, and where it is not ``required`` a ``default``, as a pipeline's parameter has.
    """

    name: str
    type: TypeName
    columns: tuple[Column, ...] | None = None
    like: Artifact | None = None
    prototype: str = ""
    value: ParamType | None = None
    required: bool = True
    default: Any = None
    doc: str = ""


class Binding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An artifact of the run that the endpoint serves, pinned: which output it was, and by which name it was asked for
    (``latest``, an alias, or the run's id)."""

    step: str
    output: str
    run: str
    asked: str
    artifact: Artifact


class Expected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the run made by a step of the endpoint, given the table that requests are like: what it should make of rows
    of that table again. Of a list these are its first ``elements``."""

    step: str
    output: str
    artifact: Artifact | None = None
    elements: tuple[Artifact, ...] = ()


class EndpointPlan(
    msgspec.Struct,
    Placed,
    Encoded,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    dict=True,
    forbid_unknown_fields=True,
):
    """A complete, canonical, immutable plan of an endpoint; its digest is the endpoint's version.

    Inputs of ``steps`` read requests as parameters, and bindings as outputs of steps that are not the endpoint's own.
    ``answer`` is the output that a request is answered with. All steps share one ``environment``: that of the run.
    ``batchable`` says that rows of several requests may be answered by one call.
    """

    format: int = msgspec.field(default=FORMAT)
    runtime: str = MINIMUM_RUNTIME
    project: str
    name: str
    pipeline: str
    entrypoint: Entrypoint
    requests: tuple[Request, ...]
    steps: tuple[StepPlan, ...]
    answer: Output
    bindings: tuple[Binding, ...] = ()
    expected: tuple[Expected, ...] = ()
    run: str = ""
    batchable: bool = False
    stack: str
    worker: Worker = Worker()
    code: Code
    environment: Environment
    options: dict[str, Any] = {}
    doc: str = ""
    place: Place | None = None

    @cached_property
    def bound(self) -> dict[tuple[str, str], Binding]:
        """The bindings by step and output."""
        return {(one.step, one.output): one for one in self.bindings}

    @cached_property
    def table(self) -> Request | None:
        """The one request that is a table, whose rows the answer has one value each for; None without one."""
        return next((request for request in self.requests if request.value is None), None)


def decode(data: bytes, where: str = "the endpoint's plan") -> EndpointPlan:
    """Read the bytes of an endpoint's plan.

    Raises:
        PlanError: when it is none, or of a newer format than this turnout knows, or needs a newer runtime.
    """
    again = "deploy the endpoint again, with the turnout that serves it"
    return encoding.decode(data, _decoder.decode, FORMAT, where, again=again, used="where the endpoint is served")


_decoder = msgspec.json.Decoder(EndpointPlan)
