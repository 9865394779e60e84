"""What was defined: steps and pipelines as frozen data, before any stack is known."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec

from turnout.model import checks
from turnout.model.capability import Capability
from turnout.model.declared import Setting
from turnout.model.encoding import Placed
from turnout.model.expressions import Expression
from turnout.model.inputs import Collected, Element, InputSpec, Output
from turnout.model.settings import StepSettings
from turnout.model.types import ParamType, TypeName


class Place(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A place in the project's source: a path relative to its root, with forward slashes, and a line."""

    file: str
    line: int


class Entrypoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A function: ``module`` and ``qualname``; for one defined in a notebook also ``value``, its pickle's digest."""

    module: str
    qualname: str
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.qualname}"


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One output of a step. ``materializer`` is ``module:qualname`` where the project brings its own.

    ``check`` is its type again where that has bounds, to which what the step returns is held.
    """

    name: str
    type: TypeName
    materializer: str | None = None
    check: ParamType | None = None


StepKind = Literal["task", "gate", "records"]


class StepBase(StepSettings, Placed, frozen=True, kw_only=True):
    """What a step's definition and its plan both have.

    ``name`` is unique; a step of a sub-pipeline has its groups before it: ``prepare.clean``. A gate has an
    ``expression`` over its ``inputs`` instead of an entrypoint and outputs. ``guards`` names the gates that
    must be true for the step to run (an inner gate is itself guarded by the outer one). A step with an ``effect``
    changes what lies outside the artifact store: it is never cached, and acts only in runs that may.
    """

    name: str
    kind: StepKind = "task"
    entrypoint: Entrypoint | None = None
    inputs: dict[str, InputSpec] = msgspec.field(default_factory=dict)
    expression: Expression | None = None
    guards: tuple[str, ...] = ()
    effect: bool = False
    doc: str = ""
    place: Place | None = None

    @cached_property
    def mapped(self) -> bool:
        """Whether the step runs once an element."""
        return any(isinstance(given.source, Element) for given in self.inputs.values())

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """The names of the steps and gates it needs, each once, in order of their first use."""
        names = [i.source.step for i in self.inputs.values() if isinstance(i.source, (Output, Element, Collected))]
        return tuple(dict.fromkeys([*self.guards, *names]))


class StepSpec(StepBase, frozen=True, kw_only=True):
    """One step as it was defined."""

    outputs: tuple[OutputSpec, ...] = ()
    requirements: Annotated[
        tuple[str, ...],
        Setting(
            about="Packages that its environment has beside the project's, as pip takes them.",
            check=checks.requirements,
            wanted="a list of texts",
            example='["scikit-learn>=1.5"]',
            capability=Capability.REQUIREMENTS,
            asks="requirements of its own",
        ),
    ] = ()
    files: Annotated[
        tuple[str, ...],
        Setting(
            about="Patterns of the project's files that it reads.",
            check=checks.files,
            wanted="a list of texts",
            example='["sql/*.sql"]',
        ),
    ] = ()


ParamSource = Literal["value", "logical_time", "interval_start", "interval_end"]


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One parameter of a pipeline. ``default`` is in canonical form; ``source`` says who gives the value."""

    name: str
    type: ParamType
    required: bool = True
    default: Any = None
    source: ParamSource = "value"
    doc: str = ""


CRON_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What stands for a cron expression in a schedule."""
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""The names of days in a cron expression."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When the pipeline runs by itself: one of a cron expression (or preset), seconds between runs, or assets.

    ``start`` is the first logical time (ISO 8601): in UTC in a plan; in a definition it may lack an offset, and is
    meant in ``timezone`` then. ``catchup`` asks for the runs missed since.
    """

    cron: str | None = None
    every: float | None = None
    assets: tuple[str, ...] = ()
    timezone: str = "UTC"
    start: str | None = None
    catchup: bool = False

    @property
    def missed(self) -> str | None:
        """What becomes of times since the start that have passed when the schedule is activated; None without a start.

        It is the same on every engine.
        """
        if self.start is None or self.assets:
            return None
        told = f"of the times since {self.start} that have passed when the schedule is activated,"
        return f"{told} {'all are run' if self.catchup else 'the latest is run, at once, and no other'}"


class PipelineBase(
    msgspec.Struct, Placed, frozen=True, kw_only=True, omit_defaults=True, dict=True, forbid_unknown_fields=True
):
    """What a pipeline's definition and its plan both have; ``options`` are those of engines, in a plan validated."""

    name: str
    entrypoint: Entrypoint
    params: tuple[ParamSpec, ...] = ()
    schedule: Schedule | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    doc: str = ""
    place: Place | None = None

    @cached_property
    def given_params(self) -> tuple[ParamSpec, ...]:
        """The parameters that a person may give: times that the engine tells are not among them."""
        return tuple(param for param in self.params if param.source == "value")


class PipelineSpec(PipelineBase, frozen=True, kw_only=True):
    """A pipeline as it was defined: ``steps`` are in topological order, as traced."""

    steps: tuple[StepSpec, ...] = ()
