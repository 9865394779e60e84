"""Pipelines: functions that call steps. Tracing one gives its spec."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from turnout.base import names
from turnout.base.errors import ConfigError, DefinitionError, Location
from turnout.definition import docstrings, functions, places, reading, schedules, step_settings
from turnout.definition.annotations import NOTHING, module_name, type_name
from turnout.definition.handles import Handle
from turnout.definition.markers import Marker
from turnout.definition.parameters import explain, type_name_of, type_of_value
from turnout.definition.signature import Parameter, Signature, check_parameters, shown_type
from turnout.definition.trace import Trace, current
from turnout.definition.traced_value import Value
from turnout.definition.wiring import Wiring
from turnout.model.graph import order
from turnout.model.inputs import Literal, Param
from turnout.model.spec import Entrypoint, ParamSpec, PipelineSpec, Schedule
from turnout.model.types import ParamType
from turnout.model.values import article, convert, shorten

if TYPE_CHECKING:
    from typing_extensions import Self

DefinitionT = TypeVar("DefinitionT", bound="PipelineDefinition")
SETTINGS = ("name", "schedule", "tags", "start", "catchup", "timezone", "options")


class Traced(msgspec.Struct, frozen=True):
    """A traced pipeline.

    ``functions`` are the project's own functions by the names of the steps that run them (turnout's own steps and
    guards have none); ``values`` the pickles, by digest, of those that travel by value.
    """

    spec: PipelineSpec
    functions: dict[str, Callable[..., Any]]
    values: dict[str, bytes]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What any step requires beside the project, each once, in order of the steps."""
        return tuple(dict.fromkeys(text for step in self.spec.steps for text in step.requirements))


class PipelineDefinition:
    """A function as a pipeline: ``name``, ``function``, and what :func:`define` was told."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        *,
        schedule: Schedule | None,
        tags: dict[str, str],
        options: dict[str, Any],
        scope: Mapping[str, Any],
    ) -> None:
        self.function = function
        self.name = name
        self.schedule = schedule
        self.tags = tags
        self.options = options
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self._group = name
        self._scope = scope
        self._traced: Traced | None = None
        self.origin = getattr(sys.modules.get(function.__module__), "__spec__", None)
        """The import of its module that it is of."""
        reading.note()

    def adopt(self, other: PipelineDefinition) -> None:
        """Become what *other* is: the same pipeline as its file has it now."""
        group = other.name if self._group == self.name else self._group
        PipelineDefinition.__init__(
            self,
            other.function,
            other.name,
            schedule=other.schedule,
            tags=other.tags,
            options=other.options,
            scope=other._scope,
        )
        self._group = group
        for name in ("signature", "params"):
            with suppress(AttributeError):
                delattr(self, name)

    @property
    def spec(self) -> PipelineSpec:
        """The pipeline as it was defined."""
        return self.trace().spec

    @cached_property
    def signature(self) -> Signature:
        """What the function takes."""
        return Signature(self.function, self._scope)

    @cached_property
    def params(self) -> tuple[ParamSpec, ...]:
        """The run-time parameters.

        Raises:
            DefinitionError: for one whose type or default no run could be given.
        """
        docs = docstrings.parameters(inspect.getdoc(self.function) or "")
        where = places.defined(self.function)
        return tuple(_param(one, docs.get(one.name, ""), where) for one in self.signature.parameters.values())

    def trace(self) -> Traced:
        """Call the function to see which steps it calls. The result is kept, but for functions of a notebook.

        Raises:
            DefinitionError: for every misuse, with the line of the user's file where it lies.
        """
        if self._traced is not None:
            return self._traced
        trace = Trace(self.name, self.function)
        parameters = self.signature.parameters
        handles = {param.name: _handle(trace, param, parameters[param.name]) for param in self.params}
        token = current.set(trace)
        try:
            self.function(**handles)
        finally:
            current.reset(token)
        where = places.defined(self.function)
        _check_complete(trace, self.name, 0, where)
        spec = PipelineSpec(
            name=self.name,
            entrypoint=Entrypoint(module=module_name(self.function.__module__), qualname=self.function.__qualname__),
            params=self.params,
            steps=order(trace.steps),
            schedule=self.schedule,
            tags=self.tags,
            options=self.options,
            doc=inspect.getdoc(self.function) or "",
            place=places.place(where),
        )
        traced = Traced(spec, trace.functions, trace.values)
        if functions.is_lasting(self.function) and not traced.values:
            self._traced = traced
        return traced

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """In another pipeline, trace this one as a group of steps, and return what its function returns.

        Raises:
            DefinitionError: outside a pipeline, inside itself, or for arguments that cannot fit.
        """
        trace = current.get()
        where = places.here()
        if trace is None:
            raise DefinitionError(
                f"the pipeline {self.name!r} is called outside a pipeline",
                where=where,
                why="its function only says which steps there are",
                fix=f"run it: {self.__name__}.run(…)",
            )
        if self.function in trace.running:
            raise DefinitionError(
                f"the pipeline {self.name!r} calls itself",
                where=where,
                why="a plan has a fixed number of steps",
                fix="fan out over a list by .map, or loop inside a step",
            )
        wiring = Wiring(trace, f"the pipeline {self.name!r}", where)
        bound = self.signature.bind(args, kwargs, wiring.what, where)
        arguments = {
            name: _given(wiring, parameter, bound.get(name, parameter.default))
            for name, parameter in self.signature.parameters.items()
        }
        trace.claim(self._group, "pipeline", where)
        before = len(trace.steps)
        with trace.group(self._group, self.function):
            result = self.function(**arguments)
        _check_complete(trace, self.name, before, places.defined(self.function))
        return result

    def named(self, name: str) -> Self:
        """The same pipeline under another name as a group, to use it a second time in another pipeline.

        Raises:
            DefinitionError: for a name that cannot be used.
        """
        names.check(name, "pipeline", places.here(), ".named({})")
        other = copy(self)
        other._group = name
        return other

    def __getitem__(self, key: str) -> Handle:
        """In an endpoint, what a step of a run of this pipeline made: ``flights["fit"]``, ``flights["load.weather"]``.

        Raises:
            DefinitionError: outside an endpoint, or for an output that there is not.
        """
        trace = current.get()
        bind = getattr(trace, "bind", None)
        if bind is None:
            raise DefinitionError(
                f"{self.name}[{key!r}] is asked for outside an endpoint",
                where=places.here(),
                why="a pipeline has results once it has run",
                fix="in an endpoint's function it is what the served run made; of a run read run[...].load()",
            )
        handle: Handle = bind(self, key)
        return handle

    def map(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refused: engines fan out single steps only.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(
            f"the pipeline {self.name!r} is mapped",
            where=places.here(),
            why="engines fan out single steps, not groups of them",
            fix="map each of its steps: the elements stay aligned by their index",
        )

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


def define(
    function: Callable[..., Any],
    cls: type[DefinitionT],
    *,
    name: str | None = None,
    schedule: Any = None,
    tags: Mapping[str, str] | None = None,
    start: Any = None,
    catchup: bool = False,
    timezone: str = "UTC",
    options: Mapping[str, Any] | None = None,
    **engines: Any,
) -> DefinitionT:
    """Make a function a pipeline.

    Args:
        cls: the class of the result.
        name: the pipeline's name; the function's by default.
        schedule: a cron expression (``"0 6 * * *"``, ``"@daily"``), ``"every 2h"``, a ``timedelta``, or a list of
            assets whose change starts it.
        tags: texts by which runs are found.
        start: the first logical time of the schedule; without an offset it is meant in *timezone*.
        catchup: whether runs missed since *start* are made up for.
        timezone: the IANA name of the zone the schedule is meant in.
        options: options of engines, ``{"airflow": {"owner": "ops"}}``; also as keywords, ``airflow={"owner": "ops"}``.

    Raises:
        DefinitionError: for a function that cannot be a pipeline, or a setting that cannot be meant.
    """
    functions.check(function, "pipeline")
    parameters = check_parameters(function, "pipeline")
    where = places.defined(function)
    own = function.__name__ if name is None else name
    names.check(own, "pipeline", where, "@pipeline(name={})")
    for parameter in parameters:
        names.check(parameter, "parameter", where, "{}")
    return cls(
        function,
        own,
        schedule=schedules.schedule(schedule, start=start, catchup=catchup, timezone=timezone, where=where),
        tags=_tags(tags, where),
        options=step_settings.options(options, engines, "@pipeline", SETTINGS, where),
        scope=places.locals_of_caller() if "<locals>" in function.__qualname__ else {},
    )


def _tags(tags: Any, where: Location) -> dict[str, str]:
    if tags is None:
        return {}
    if not isinstance(tags, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in tags.items()):
        raise DefinitionError(
            f"tags={shorten(tags)} is not an object of texts",
            where=where,
            fix='write tags={"team": "ops", "tier": "1"}',
        )
    return dict(tags)


def _param(parameter: Parameter, doc: str, where: Location) -> ParamSpec:
    default = parameter.default
    if isinstance(default, Marker):
        return _marked(parameter, default, doc, where)
    if parameter.type is None:
        assert parameter.misfit is not None
        fix = f"use {parameter.name}: File (its content) or str" if "path" in str(parameter.misfit) else None
        raise DefinitionError(
            f"the parameter {parameter.name!r} has a type that no run can be given",
            where=where,
            why=explain(parameter.annotation, parameter.misfit),
            fix=fix
            or "use int, float, bool, str, datetime, date, timedelta, list, dict, Literal, Enum, File or Folder",
        )
    if default is NOTHING:
        return ParamSpec(name=parameter.name, type=parameter.type, doc=doc)
    type_ = parameter.type
    if parameter.annotation is NOTHING and default is not None:
        type_ = type_of_value(default)
    if isinstance(default, Value):
        raise DefinitionError(
            f"the default of {parameter.name!r} is a handle",
            where=where,
            fix="call the step in the pipeline's function",
        )
    try:
        value = convert(default, type_, parameter.name, text=False, canonical=False)
    except ConfigError as error:
        is_none = default is None
        raise DefinitionError(
            f"the default of {parameter.name!r} does not fit: {error.what}",
            where=where,
            why=error.why,
            fix=f"write {parameter.name}: {shown_type(parameter)} | None = None" if is_none else error.fix,
        ) from None
    return ParamSpec(name=parameter.name, type=type_, required=False, default=value, doc=doc)


def _marked(parameter: Parameter, marker: Marker, doc: str, where: Location) -> ParamSpec:
    declared = parameter.type
    if parameter.annotation is not NOTHING and (declared is None or declared.kind != "datetime"):
        raise DefinitionError(
            f"the parameter {parameter.name!r} is {article(shown_type(parameter))}, and {marker!r} is a datetime",
            where=where,
            fix=f"write {parameter.name}: datetime = {marker!r}",
        )
    return ParamSpec(
        name=parameter.name,
        type=ParamType(kind="datetime"),
        required=False,
        source=marker.source,  # type: ignore[arg-type]
        doc=doc,
    )


def _handle(trace: Trace, param: ParamSpec, parameter: Parameter) -> Handle:
    is_declared = parameter.annotation is not NOTHING
    shown = type_name(parameter.annotation) if is_declared else type_name_of(param.type)
    return Handle(trace, Param(name=param.name), shown, param=param.type)


def _given(wiring: Wiring, parameter: Parameter, value: Any) -> Any:
    """What a sub-pipeline's function gets for one of its parameters: always a handle, as when it runs by itself."""
    if isinstance(value, Handle):
        wiring.check(value)
        wiring.input(parameter, value)
        return value
    if isinstance(value, Marker):
        raise DefinitionError(
            f"{wiring.what} is called without {parameter.name!r}, which is {value!r} by default",
            where=wiring.where,
            why="the engine gives it to the pipeline that runs, not to one inside it",
            fix=f"make it a parameter of the outer pipeline, {parameter.name}: datetime = {value!r}, and hand it on",
        )
    literal: Literal = wiring.literal(parameter, value)
    shown = type_name_of(literal.type) if parameter.annotation is NOTHING else parameter.type_name
    return Handle(wiring.trace, literal, shown, param=literal.type)


def _check_complete(trace: Trace, pipeline: str, before: int, where: Location) -> None:
    if trace.unentered:
        raise DefinitionError(
            "when(…) is called without with",
            where=next(iter(trace.unentered.values())),
            why="it guards the steps that are called in its block",
            fix='write with when(report["r2"] > 0.3): and the steps below it',
        )
    if len(trace.steps) == before:
        raise DefinitionError(
            f"the pipeline {pipeline!r} has no steps",
            where=where,
            fix="call at least one function that has @step above it",
        )
