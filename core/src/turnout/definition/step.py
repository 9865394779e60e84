"""Steps: plain functions that a pipeline calls. Outside a pipeline they just run."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, overload

import msgspec

from turnout.base import names
from turnout.base.errors import Location
from turnout.definition import functions, places
from turnout.definition import own_materializers as materializer
from turnout.definition.annotations import OutputType, outputs
from turnout.definition.bounds import Unchecked
from turnout.definition.closures import refuse_handles
from turnout.definition.handles import Handle, Outputs
from turnout.definition.mapping import lists, run_map
from turnout.definition.signature import Signature, check_parameters, checked_type, unchecked
from turnout.definition.step_settings import of_step
from turnout.definition.trace import Trace, current
from turnout.definition.traced_value import Value, foreign
from turnout.definition.wiring import Wiring
from turnout.model.inputs import InputSpec, Output
from turnout.model.spec import OutputSpec, StepSpec
from turnout.model.types import ParamType


class _Declared:
    """What a function declares, read on first use: once, whatever names it goes by in pipelines."""

    def __init__(self, function: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        self._function = function
        self._scope = scope

    @functools.cached_property
    def signature(self) -> Signature:
        return Signature(self._function, self._scope)

    @functools.cached_property
    def outputs(self) -> tuple[OutputSpec, ...]:
        where = places.defined(self._function)
        declared = outputs(self.signature.returns, self._function.__name__, where)
        return tuple(
            OutputSpec(name=o.name, type=o.type, materializer=materializer.find(o.type), check=self._check(o))
            for o in declared
        )

    def _check(self, output: OutputType) -> ParamType | None:
        try:
            return checked_type(output.annotation)[1]
        except Unchecked as error:
            raise unchecked(f"{self._function.__name__}: the output {output.name!r}", error, self._function) from None

    @functools.cached_property
    def doc(self) -> str:
        return inspect.getdoc(self._function) or ""


class Step:
    """A function as a step of pipelines: ``function`` is the function itself, ``name`` what the step is called.

    Called while a pipeline is traced, it writes down the call and returns handles; anywhere else it runs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        settings: StepSpec,
        scope: Mapping[str, Any],
        declared: _Declared | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.settings = settings
        """A spec that has what the decorator was told, and nothing else yet."""
        self._declared = declared or _Declared(function, scope)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function; in a pipeline, write down the call and return a handle for each output.

        Raises:
            DefinitionError: in a pipeline, for arguments that cannot fit.
        """
        trace = current.get()
        if trace is None:
            _refuse_handles((*args, *kwargs.values()))
            return self.function(*args, **kwargs)
        wiring = Wiring(trace, f"the step {self.name!r}", places.here())
        bound = self.signature.bind(args, kwargs, wiring.what, wiring.where)
        inputs = {name: wiring.input(self.signature.parameters[name], value) for name, value in bound.items()}
        return self._record(trace, inputs, wiring.where, mapped=False)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step once an element of the lists given by position; arguments given by name stay the same.

        Several lists are walked side by side and must be of one length. Outside a pipeline the result is a
        list, or for a step of several outputs a tuple of lists.

        Raises:
            DefinitionError: in a pipeline, for what is no list, or whose elements cannot fit.
        """
        trace = current.get()
        if trace is None:
            _refuse_handles((*args, *kwargs.values()))
            return run_map(self.function, len(self.outputs), args, kwargs)
        wiring = Wiring(trace, f"the step {self.name!r}", places.here())
        bound = self.signature.bind(args, kwargs, wiring.what, wiring.where)
        over = {name: bound[name] for name in self.signature.positional[: len(args)]}
        handles = lists(wiring, self.name, self.signature.parameters, over)
        inputs = {
            name: wiring.element(self.signature.parameters[name], handles[name])
            if name in handles
            else wiring.input(self.signature.parameters[name], value)
            for name, value in bound.items()
        }
        return self._record(trace, inputs, wiring.where, mapped=True)

    def named(self, name: str) -> Step:
        """The same step under another name, to use it a second time.

        Raises:
            DefinitionError: for a name that cannot be used.
        """
        if names.problem(name) is not None:
            names.check(name, "step", places.here(), ".named({})")
        return Step(self.function, name, self.settings, {}, self._declared)

    @property
    def signature(self) -> Signature:
        """What the function takes and returns; its annotations are read on first use."""
        return self._declared.signature

    @property
    def outputs(self) -> tuple[OutputSpec, ...]:
        """The outputs the function declares."""
        return self._declared.outputs

    def _record(self, trace: Trace, inputs: dict[str, InputSpec], where: Location, *, mapped: bool) -> Any:
        signature = self.signature
        for name, parameter in signature.parameters.items():
            if name not in inputs and parameter.is_content:
                wiring = Wiring(trace, f"the step {self.name!r}", where)
                inputs[name] = wiring.input(parameter, parameter.default)
        if "<locals>" in self.function.__qualname__:
            refuse_handles(self.function, f"the step {self.name!r}", where)
        full = trace.claim(self.name, "step", where)
        spec = msgspec.structs.replace(
            self.settings,
            name=full,
            entrypoint=trace.entrypoint(self.function, self),
            inputs=inputs,
            guards=trace.guards,
            outputs=self.outputs,
            doc=self._declared.doc,
            place=places.place(where),
        )
        trace.add(spec, self.function)
        return result(trace, spec, mapped=mapped)

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if functions.lookup(sys.modules.get(self.function.__module__), self.function.__qualname__) is self:
            return _find, (self.function.__module__, self.function.__qualname__)
        return Step, (self.function, self.name, self.settings, {})


def _find(module: str, qualname: str) -> Any:
    return functions.lookup(importlib.import_module(module), qualname)


@overload
def step(function: Callable[..., Any], /) -> Step: ...


@overload
def step(
    *,
    name: str | None = None,
    retries: int | None = None,
    retry_delay: Any = 0,
    retry_backoff: float = 1.0,
    timeout: Any = None,
    resources: Any = None,
    requirements: Any = None,
    secrets: Mapping[str, str] | None = None,
    env: Any = None,
    files: Any = None,
    cache: Any = None,
    profile: bool = True,
    batchable: bool = False,
    options: Mapping[str, Any] | None = None,
    **engines: Mapping[str, Any],
) -> Callable[[Callable[..., Any]], Step]: ...


def step(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **settings: Any) -> Any:
    """Make a function a step.

    Args:
        name: the step's name; the function's by default.
        retries: how often it is tried again when it fails; not at all where nothing is said, unless the engine has a
            default of its own.
        retry_delay: the time before the first retry: ``"10s"``, seconds or a ``timedelta``.
        retry_backoff: the factor by which the delay grows with each retry.
        timeout: the longest one attempt may take: ``"30m"``, seconds or a ``timedelta``.
        resources: what it needs of a machine, a :class:`~turnout.model.spec.Resources`.
        requirements: packages its environment has beside the project's, as pip takes them.
        secrets: environment variables, each with the name of the secret it gets.
        env: the environment variables it may read.
        files: patterns of the project's files it reads.
        cache: whether an earlier result may be used: ``True``, ``False``, or for how long (``"12h"``). By default
            it may where the step has artifacts or files as inputs and no secrets.
        profile: whether the record says what each table it makes is like: quantiles, and its most frequent values.
        batchable: whether an endpoint may answer the rows of several requests by one call: the answer to a row does not
            depend on the rows beside it, but for the last digits of a sum.
        options: options of engines, ``{"airflow": {"pool": "gpu"}}``; also as keywords, ``airflow={"pool": "gpu"}``.

    Raises:
        DefinitionError: for a function that cannot be a step, or a setting that cannot be meant.
    """
    where = places.here()
    spec = of_step(settings, where)

    def decorate(function: Callable[..., Any]) -> Step:
        functions.check(function, "step")
        check_parameters(function, "step")
        own = function.__name__ if name is None else name
        names.check(own, "step", places.defined(function), "@step(name={})")
        scope = places.locals_of_caller() if "<locals>" in function.__qualname__ else {}
        return Step(function, own, spec, scope)

    return decorate if function is None else decorate(function)


def _refuse_handles(given: tuple[Any, ...]) -> None:
    for value in given:
        if isinstance(value, Value):
            raise foreign(value)


def result(trace: Trace, spec: StepSpec, *, mapped: bool) -> Handle | Outputs:
    """What a call returns in a pipeline: one handle, or several outputs."""
    made = {
        output.name: Handle(trace, Output(step=spec.name, output=output.name), output.type, mapped=mapped)
        for output in spec.outputs
    }
    return next(iter(made.values())) if len(made) == 1 else Outputs(trace, spec.name, made)
