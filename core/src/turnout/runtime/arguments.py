"""What a step's function is called with: the values of its inputs, of the types that it declares."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from turnout.base.errors import ConfigError
from turnout.model.bounds import check_python
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.model.plan import StepPlan
from turnout.model.scalars import Misfit
from turnout.model.types import ParamType
from turnout.model.values import readable, revive, shorten
from turnout.runtime.inputs import collected, element
from turnout.runtime.parameter_files import parameter_file
from turnout.runtime.session import Session


def plain(session: Session, spec: InputSpec) -> Any:
    """The value of a gate's input as JSON: what a guard's expression is over."""
    match spec.source:
        case Literal(value=value, type=type_):
            return readable(value, type_)
        case Param(name=name):
            return readable(session.run.info.params[name], session.run.params[name].type)
        case Output(step=name, output=output):
            record = session.run.record(name, None)
            assert record is not None
            return session.artifacts.load_json(record.outputs[output])
    raise AssertionError(spec.source)


class _Wanted(msgspec.Struct, frozen=True):
    """Who asks for a value: a function, and which of its arguments."""

    function: Callable[..., Any]
    argument: str

    def enum(self, session: Session, name: str) -> type[Any]:
        """The class ``module:qualname``: the one that the argument is declared with, else as it is imported."""
        qualname = name.partition(":")[2]
        try:
            declared = typing.get_type_hints(self.function).get(self.argument)
        except Exception:  # a name that exists for type checkers only
            declared = None
        found = next((cls for cls in _classes_in(declared) if cls.__qualname__ == qualname), None)
        return session.code.load_class(name) if found is None else found


def _classes_in(annotation: Any) -> Iterator[type[Any]]:
    """The classes that an annotation names, at any depth."""
    if isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    if type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if typing.is_typeddict(annotation):
        for inner in typing.get_type_hints(annotation).values():
            yield from _classes_in(inner)
    elif isinstance(annotation, type) and not typing.get_args(annotation):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _classes_in(inner)


def argument(session: Session, step: StepPlan, index: int | None, function: Callable[..., Any], name: str) -> Any:
    """The value of an input, for the argument of that name.

    Raises:
        ConfigError: when the argument's annotation refuses it.
        TurnoutError: when it cannot be read.
    """
    spec = step.inputs[name]
    value = _loaded(session, spec, index, _Wanted(function, name))
    if spec.check is not None:
        check(value, spec.check, f"the input {name!r} of {step.name}")
    return value


def check(value: Any, type_: ParamType, what: str) -> None:
    """Refuse a value that is out of the bounds of a type; *what* is what messages call it.

    Raises:
        ConfigError: saying why.
    """
    try:
        check_python(value, type_)
    except Misfit as misfit:
        raise ConfigError(
            f"{what} is {shorten(value)}, which its annotation refuses",
            why=f"{misfit.path}: {misfit.why}".removeprefix(": "),
            fix="give it such a value, or change the annotation",
        ) from None


def _loaded(session: Session, spec: InputSpec, index: int | None, wanted: _Wanted) -> Any:
    match spec.source:
        case Literal(value=value, type=type_):
            return _value(session, spec, value, type_, wanted)
        case Param(name=name):
            return _value(session, spec, session.run.info.params[name], session.run.params[name].type, wanted)
        case Output(step=name, output=output):
            record = session.run.record(name, None)
            if record is None or record.state == "skipped":
                return None
            return session.artifacts.load_output(record.outputs[output], spec.type)
        case Element(step=name, output=output):
            return session.artifacts.load_output(element(session, name, output, index), spec.type)
        case Collected(step=name, output=output):
            found = collected(session, name, output)
            if found is None:
                return None
            return [session.artifacts.load_output(one, spec.type) for one in found]


def _value(session: Session, spec: InputSpec, value: Any, type_: ParamType, wanted: _Wanted) -> Any:
    if type_.kind in {"file", "folder"}:
        name = spec.source.name if isinstance(spec.source, Param) else wanted.argument
        return None if value is None else parameter_file(session, name, value, type_)
    if "enum:Enum" in spec.type.bases and not (
        type_.enum or spec.type.collection
    ):  # a text given for an enum, and plans of before
        type_ = msgspec.structs.replace(type_, enum=spec.type.name)
    return revive(value, type_, functools.partial(wanted.enum, session))
