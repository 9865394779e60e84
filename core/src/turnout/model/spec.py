"""What was defined: steps and pipelines as frozen data, before any stack is known."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from turnout.model.expressions import Expression
from turnout.model.inputs import Collected, Element, InputSpec, Output
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


LONGEST_WAIT = 10 * 366 * 86_400.0
"""Seconds: ten years, what the timers of all engines can hold."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often a failed step is tried again, after ``delay * backoff**n`` seconds, ``max_delay`` at most.

    ``never`` is a count of 0 that was asked for: where nothing is said, an engine's own default may count.
    """

    count: int = 0
    delay: float = 0.0
    backoff: float = 1.0
    max_delay: float | None = None
    never: bool = False

    def wait(self, retry: int) -> float:
        """The seconds to wait before retry number *retry*, from 1."""
        longest = LONGEST_WAIT if self.max_delay is None else self.max_delay
        try:
            return float(min(self.delay * self.backoff ** (retry - 1), longest))
        except OverflowError:
            return longest


class Resources(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step needs.

    ``cpu`` is in cores (rounded up it is also the number of threads libraries may use; one where nothing is asked for),
    ``memory`` in bytes or as Kubernetes writes it (``"4Gi"``), ``gpu`` a count and ``accelerator`` its type.
    """

    cpu: float | None = None
    memory: int | str = 0
    gpu: int = 0
    accelerator: str | None = None

    @property
    def cores(self) -> float:
        """The cores that the step is taken to use."""
        return 1.0 if self.cpu is None else self.cpu


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One output of a step. ``materializer`` is ``module:qualname`` where the project brings its own.

    ``check`` is its type again where that has bounds, to which what the step returns is held.
    """

    name: str
    type: TypeName
    materializer: str | None = None
    check: ParamType | None = None


StepKind = Literal["task", "gate", "records"]


class StepSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step as it was defined.

    ``name`` is unique; a step of a sub-pipeline has its groups before it: ``prepare.clean``. A gate has an
    ``expression`` over its ``inputs`` instead of an entrypoint and outputs. ``guards`` names the gates that
    must be true for the step to run (an inner gate is itself guarded by the outer one).
    """

    name: str
    kind: StepKind = "task"
    entrypoint: Entrypoint | None = None
    inputs: dict[str, InputSpec] = {}
    expression: Expression | None = None
    guards: tuple[str, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    retry: Retry = Retry()
    timeout: float | None = None
    resources: Resources = Resources()
    requirements: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    env: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cache: bool | float | None = None
    profile: bool = True
    options: dict[str, Any] = {}
    doc: str = ""
    place: Place | None = None

    @property
    def mapped(self) -> bool:
        """Whether the step runs once an element."""
        return any(isinstance(given.source, Element) for given in self.inputs.values())

    @property
    def upstream(self) -> tuple[str, ...]:
        """The names of the steps and gates it needs, each once, in order of their first use."""
        names = [i.source.step for i in self.inputs.values() if isinstance(i.source, (Output, Element, Collected))]
        return tuple(dict.fromkeys([*self.guards, *names]))


ParamSource = Literal["value", "logical_time", "interval_start", "interval_end"]


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One parameter of a pipeline. ``default`` is in canonical form; ``source`` says who gives the value."""

    name: str
    type: ParamType
    required: bool = True
    default: Any = None
    source: ParamSource = "value"
    doc: str = ""


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


class PipelineSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A pipeline as it was defined: ``steps`` are in topological order, as traced; ``options`` are those of
    engines, unchecked."""

    name: str
    entrypoint: Entrypoint
    params: tuple[ParamSpec, ...] = ()
    steps: tuple[StepSpec, ...] = ()
    schedule: Schedule | None = None
    tags: dict[str, str] = {}
    options: dict[str, Any] = {}
    doc: str = ""
    place: Place | None = None
