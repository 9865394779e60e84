"""Endpoints: functions that answer requests with the steps and the results of a pipeline."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from turnout.base import names
from turnout.base.errors import ConfigError, DefinitionError, Location, did_you_mean
from turnout.definition import docstrings, fitting, functions, places
from turnout.definition.annotations import NOTHING, module_name
from turnout.definition.handles import Handle
from turnout.definition.markers import Marker
from turnout.definition.pipeline import PipelineDefinition
from turnout.definition.signature import Parameter, Signature, check_parameters, shown_type
from turnout.definition.trace import Trace, current
from turnout.definition.traced_value import Value
from turnout.model.encoding import Placed
from turnout.model.inputs import Output, Param
from turnout.model.spec import Entrypoint, OutputSpec, Place, StepSpec
from turnout.model.types import ParamType, TypeName
from turnout.model.values import convert, shorten

EndpointT = TypeVar("EndpointT", bound="EndpointDefinition")


class RequestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of an endpoint as it was defined.

    ``value`` is the type of what is no table, with its ``default`` in canonical form where it is not ``required``.
    ``like`` names the output whose schema a table has, ``without`` the columns of it that requests do not give,
    ``columns``, where there are some, those that they give.
    """

    name: str
    type: TypeName
    value: ParamType | None = None
    required: bool = True
    default: Any = None
    like: Output | None = None
    without: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    doc: str = ""


class EndpointSpec(msgspec.Struct, Placed, frozen=True, kw_only=True):
    """An endpoint as it was defined: steps over requests and over outputs of a run of ``pipeline``.

    ``bound`` are these outputs; ``run`` says of which run they are: ``latest``, an alias, or an id.
    """

    name: str
    pipeline: str
    entrypoint: Entrypoint
    requests: tuple[RequestSpec, ...]
    steps: tuple[StepSpec, ...]
    answer: Output
    bound: tuple[Output, ...]
    run: str
    options: dict[str, Any]
    doc: str
    place: Place | None


class TracedEndpoint(msgspec.Struct, frozen=True):
    """A traced endpoint; ``functions`` and ``values`` are as of a traced pipeline."""

    spec: EndpointSpec
    functions: dict[str, Callable[..., Any]]
    values: dict[str, bytes]


class EndpointTrace(Trace):
    """What an endpoint's function has called so far, and which results of its pipeline it has asked for."""

    def __init__(self, name: str, function: Callable[..., Any], pipeline: PipelineDefinition) -> None:
        super().__init__(name, function)
        self.served = pipeline
        self.bound: dict[Output, Handle] = {}

    def bind(self, pipeline: PipelineDefinition, key: Any) -> Handle:
        """The handle of an output of the pipeline's run.

        Raises:
            DefinitionError: for another pipeline's, or an output that there is not.
        """
        where = places.here()
        if pipeline.function is not self.served.function:
            raise DefinitionError(
                f"the endpoint {self.pipeline!r} serves {self.served.name!r}, and asks for a result of {pipeline.name}",
                where=where,
                why="all that an endpoint serves is of one run",
                fix=f"write {self.served.name}[{key!r}], or make it an endpoint of {pipeline.name}",
            )
        source, output = find_output(pipeline, key)
        if source not in self.bound:
            if all(source.step != other.step for other in self.bound):
                self.claim(source.step, "step", where)
            self.bound[source] = Handle(self, source, output.type)
        return self.bound[source]


class EndpointDefinition:
    """A function as an endpoint: ``name``, ``function``, and the ``pipeline`` whose results it serves."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        pipeline: PipelineDefinition,
        *,
        run: str = "latest",
        like: Mapping[str, str] | None = None,
        without: Mapping[str, Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.pipeline = pipeline
        self.run = run
        self.like = dict(like or {})
        self.without = {name: tuple(columns) for name, columns in (without or {}).items()}
        self.columns = {name: tuple(columns) for name, columns in (columns or {}).items()}
        self.options = dict(options or {})
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self._scope = scope or {}

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refused: an endpoint answers where it is deployed.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(
            f"the endpoint {self.name!r} is called",
            where=places.here(),
            why="its function only says which steps answer",
            fix="deploy it and send it rows, or call its steps in a test",
        )

    def trace(self) -> TracedEndpoint:
        """Call the function to see which steps answer, and what of the pipeline's run they are given.

        Raises:
            DefinitionError: for every misuse, with the line of the user's file where it lies.
        """
        where = places.defined(self.function)
        signature = Signature(self.function, self._scope)
        trace = EndpointTrace(self.name, self.function, self.pipeline)
        docs = docstrings.parameters(inspect.getdoc(self.function) or "")
        self._check_names(signature)
        requests = tuple(self._request(one, docs.get(one.name, "")) for one in signature.parameters.values())
        handles = {one.name: Handle(trace, Param(name=one.name), one.type, param=one.value) for one in requests}
        token = current.set(trace)
        try:
            answer = self.function(**handles)
        finally:
            current.reset(token)
        self._check_straight(trace, where)
        spec = EndpointSpec(
            name=self.name,
            pipeline=self.pipeline.name,
            entrypoint=Entrypoint(module=module_name(self.function.__module__), qualname=self.function.__qualname__),
            requests=requests,
            steps=tuple(trace.steps),
            answer=self._answer(trace, answer),
            bound=tuple(sorted(trace.bound, key=lambda output: (output.step, output.output))),
            run=self.run,
            options=self.options,
            doc=inspect.getdoc(self.function) or "",
            place=places.place(where),
        )
        return TracedEndpoint(spec, trace.functions, trace.values)

    def _check_straight(self, trace: EndpointTrace, where: Location) -> None:
        """See that every request is answered by the same steps, once.

        Raises:
            DefinitionError: with the line of the first ``when`` or ``map``.
        """
        why = "every request is answered by the same steps, once"
        branching = next(iter(trace.unentered.values()), None)
        for step in trace.steps:
            place = where if step.place is None else Location(step.place.file, step.place.line)
            if step.mapped:
                raise DefinitionError(
                    f"the endpoint {self.name!r} maps {step.name!r} over elements",
                    where=place,
                    why=why,
                    fix="call a step that is given all of them, and let it go through them",
                )
            if step.kind == "gate" and branching is None:
                branching = place
        if branching is not None:
            raise DefinitionError(
                f"the endpoint {self.name!r} decides by when(…) which steps answer",
                where=branching,
                why=why,
                fix="decide inside a step: give it what the condition is about, and write if",
            )

    def _answer(self, trace: EndpointTrace, answer: Any) -> Output:
        where = places.defined(self.function)
        if not isinstance(answer, Handle) or answer._trace is not trace:
            shown = answer._show() if isinstance(answer, Value) else shorten(answer)
            raise DefinitionError(
                f"the endpoint {self.name!r} returns {shown}",
                where=where,
                why="a request is answered with one output of one step",
                fix="return what a step gives: return predict(flights['fit'], rows)",
            )
        source = answer._source
        if not isinstance(source, Output) or source.step not in {step.name for step in trace.steps}:
            raise DefinitionError(
                f"the endpoint {self.name!r} returns {answer._show()} as it is",
                where=where,
                why="no step of it answers",
                fix="give it to a step, and return what that gives",
            )
        return source

    def _check_names(self, signature: Signature) -> None:
        for what, names_ in (("like", self.like), ("without", self.without), ("columns", self.columns)):
            for name in names_:
                if name not in signature.parameters:
                    raise DefinitionError(
                        f"{what}= names {name!r}, which the endpoint {self.name!r} does not take. "
                        f"{did_you_mean(name, signature.parameters)}".rstrip(" ."),
                        where=places.defined(self.function),
                        fix=f"it takes: {', '.join(signature.parameters) or 'nothing'}",
                    )
        for name in {*self.without, *self.columns}:
            if name not in self.like or (name in self.without and name in self.columns):
                raise DefinitionError(
                    f"the columns of {name!r} of the endpoint {self.name!r} are chosen "
                    + ("twice" if name in self.like else "from no table"),
                    where=places.defined(self.function),
                    why="without= and columns= choose from the table that like= names",
                    fix="give like=, and one of without= and columns=",
                )

    def _request(self, parameter: Parameter, doc: str) -> RequestSpec:
        where = places.defined(self.function)
        like = self.like.get(parameter.name)
        if parameter.annotation is NOTHING or fitting.is_table(parameter.type_name):
            if parameter.default is not NOTHING:
                raise DefinitionError(
                    f"the rows {parameter.name!r} of the endpoint {self.name!r} have a default",
                    where=where,
                    fix="leave it out: each request gives its rows",
                )
            return RequestSpec(
                name=parameter.name,
                type=parameter.type_name,
                like=None if like is None else find_output(self.pipeline, like)[0],
                without=self.without.get(parameter.name, ()),
                columns=self.columns.get(parameter.name, ()),
                doc=doc,
            )
        type_ = parameter.type
        if (
            type_ is None
            or type_.kind in {"file", "folder"}
            or like is not None
            or isinstance(parameter.default, Marker)
        ):
            raise DefinitionError(
                f"the endpoint {self.name!r} takes {parameter.name!r} of the type {shown_type(parameter)}",
                where=where,
                why="requests give tables, and values that JSON stands for",
                fix="take a DataFrame, an int, float, bool, str, datetime, date, list or dict",
            )
        if parameter.default is NOTHING:
            return RequestSpec(name=parameter.name, type=parameter.type_name, value=type_, doc=doc)
        try:
            default = convert(parameter.default, type_, parameter.name, text=False, canonical=False)
        except ConfigError as error:
            raise DefinitionError(
                f"the default of {parameter.name!r} does not fit: {error.what}",
                where=where,
                why=error.why,
                fix=error.fix,
            ) from None
        return RequestSpec(
            name=parameter.name, type=parameter.type_name, value=type_, required=False, default=default, doc=doc
        )

    def __repr__(self) -> str:
        return f"<endpoint {self.name}>"


def define(
    pipeline: PipelineDefinition,
    cls: type[EndpointT],
    *,
    name: str | None = None,
    run: str = "latest",
    like: Mapping[str, str] | None = None,
    without: Mapping[str, Any] | None = None,
    columns: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], EndpointT]:
    """Make a function an endpoint of a pipeline.

    Args:
        pipeline: the pipeline whose results it serves: ``flights["fit"]`` in the function is what its step made.
        cls: the class of the result.
        name: the endpoint's name; the function's by default.
        run: which run's results: ``latest`` (the newest that succeeded), an alias, or a run's id. It is looked up, and
            pinned, when the endpoint is deployed.
        like: for a table of rows the output of the pipeline whose columns it has: ``{"rows": "load.departures"}``.
        without: columns of that which requests do not give, such as the label: ``{"rows": ["arr_delay"]}``.
        columns: the columns of that which requests give, in the place of ``without``.
        options: options of deployers, by their names.

    Raises:
        DefinitionError: for what is no pipeline, or a function that cannot be an endpoint.
    """
    if not isinstance(pipeline, PipelineDefinition):
        raise DefinitionError(
            f"@endpoint takes the pipeline whose results it serves, not {shorten(pipeline)}",
            where=places.here(),
            fix="write @endpoint(flights), with the function that has @pipeline above it",
        )

    def decorate(function: Callable[..., Any]) -> EndpointT:
        functions.check(function, "endpoint")
        check_parameters(function, "endpoint")
        own = function.__name__ if name is None else name
        names.check(own, "endpoint", places.defined(function), "@endpoint(…, name={})")
        scope = places.locals_of_caller() if "<locals>" in function.__qualname__ else {}
        return cls(
            function, own, pipeline, run=run, like=like, without=without, columns=columns, options=options, scope=scope
        )

    return decorate


def find_output(pipeline: PipelineDefinition, key: Any) -> tuple[Output, OutputSpec]:
    """The output of a pipeline that *key* names: a step with one output, or ``step.output``.

    Raises:
        DefinitionError: when there is none, or the step is mapped.
    """
    where = places.here()
    steps = {step.name: step for step in pipeline.spec.steps if step.kind == "task"}
    named = key if isinstance(key, str) else ""
    step, output = (named, "") if named in steps else (named.rpartition(".")[0], named.rpartition(".")[2])
    if step not in steps:
        raise DefinitionError(
            f"{pipeline.name} has no step {shorten(key)}. {did_you_mean(named, steps)}".rstrip(" ."),
            where=where,
            fix=f"its steps are: {', '.join(steps)}",
        )
    outputs = {one.name: one for one in steps[step].outputs}
    if not output and len(outputs) == 1:
        output = next(iter(outputs))
    if output not in outputs:
        keys = [f"{step}.{name}" for name in outputs]
        raise DefinitionError(
            f"the step {step!r} of {pipeline.name} has "
            + (f"no output {output!r}" if output else f"{len(outputs)} outputs, and one is to be chosen"),
            where=where,
            fix=f"write one of: {', '.join(f'{pipeline.name}[{one!r}]' for one in keys)}"
            if keys
            else "choose a step that returns something",
        )
    if steps[step].mapped or outputs[output].type.collection:
        raise DefinitionError(
            f"{pipeline.name}[{key!r}] has one value an element",
            where=where,
            why="an endpoint is given single artifacts",
            fix="collect the elements in a step that returns one value",
        )
    return Output(step=step, output=output), outputs[output]
