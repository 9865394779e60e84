"""From the arguments of a call to the inputs of a step."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.base.errors import ConfigError, DefinitionError, Location
from turnout.definition.fitting import fits
from turnout.definition.handles import Handle, Outputs
from turnout.definition.markers import Marker
from turnout.definition.parameters import type_name_of, type_of_value
from turnout.definition.signature import Parameter, shown_type
from turnout.definition.trace import Trace
from turnout.definition.traced_value import Value, foreign
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Source
from turnout.model.types import JSON_TYPE, ParamType, TypeName
from turnout.model.values import article, convert, shorten


class Wiring:
    """One call that is wired: in which trace, what is called (``the step 'fit'``) and where."""

    __slots__ = ("trace", "what", "where")

    def __init__(self, trace: Trace, what: str, where: Location) -> None:
        self.trace = trace
        self.what = what
        self.where = where

    def input(self, parameter: Parameter, value: Any) -> InputSpec:
        """The input for one argument.

        Raises:
            DefinitionError: when it cannot be one, or its type cannot fit.
        """
        if not isinstance(value, Handle):
            return spec_of(parameter, self.literal(parameter, value))
        self.check(value)
        source = value._source
        if isinstance(source, Literal):
            return spec_of(parameter, self._again(parameter, source))
        type_given = value._type
        if value._mapped:
            assert isinstance(source, Output)
            type_given = collection_of(type_given)
            self.check_fit(parameter, type_given, value)
            return spec_of(parameter, Collected(step=source.step, output=source.output))
        self.check_fit(parameter, type_given, value)
        return spec_of(parameter, source)

    def element(self, parameter: Parameter, value: Handle) -> InputSpec:
        """The input of a mapped step for one of the lists it maps over.

        Raises:
            DefinitionError: when its elements cannot fit.
        """
        source = value._source
        assert isinstance(source, Output)
        type_given = value._type
        if not value._mapped:
            type_given = msgspec.structs.replace(
                type_given, collection=False, text=_inside(type_given.text), optional=False
            )
        if not fits(type_given, parameter.type_name):
            raise DefinitionError(
                f"{self.what} takes {article(shown_type(parameter))} as {parameter.name!r}, "
                f"and the elements of {value._show()} are of type {type_given.text}",
                where=self.where,
                why="maps do not nest" if value._mapped and type_given.collection else None,
                fix="flatten it in a step that returns one list, and map over that"
                if value._mapped and type_given.collection
                else "map over a list of what the step takes, or change one of the annotations",
            )
        return spec_of(parameter, Element(step=source.step, output=source.output))

    def check(self, value: Value) -> None:
        """Refuse a handle of another trace."""
        if value._trace is not self.trace:
            raise foreign(value)

    def check_fit(self, parameter: Parameter, given: TypeName, value: Handle) -> None:
        """Refuse a handle whose type cannot fit."""
        if fits(given, parameter.type_name):
            return
        fix = "give it what it takes, or change one of the annotations"
        if given.collection and fits(msgspec.structs.replace(given, collection=False), parameter.type_name):
            fix = f"run the step once an element: .map({value._show().rpartition('.')[2]})"
        if value._param is not None and parameter.type is not None and parameter.type.kind in {"file", "folder"}:
            fix = f"declare the parameter of the pipeline as {parameter.type.kind.title()} too"
        raise DefinitionError(
            f"{self.what} takes {article(shown_type(parameter))} as {parameter.name!r}, "
            f"and {value._show()} is of type {given.text}",
            where=self.where,
            why="a mapped step gives a list, one element each" if value._mapped else None,
            fix=fix,
        )

    def literal(self, parameter: Parameter, value: Any) -> Literal:
        """A value written in the definition.

        Raises:
            DefinitionError: when it is not a value that JSON stands for, or its type cannot fit.
        """
        self.refuse(parameter, value)
        type_ = parameter.type
        if type_ is None:
            type_ = type_of_value(value)
            if not fits(type_name_of(type_), parameter.type_name) and not (
                value is None and parameter.type_name.optional
            ):
                raise self._misfit(parameter, value)
        elif type_.kind == "json" and not type_.choices:
            type_ = type_of_value(value)
        return Literal(value=self.convert(parameter, value, type_), type=type_)

    def _again(self, parameter: Parameter, source: Literal) -> Literal:
        """A value given to a sub-pipeline and handed on: converted to what this step takes."""
        if parameter.type is None or parameter.type == source.type or parameter.type.kind == "json":
            return source
        if parameter.type.kind != source.type.kind and (source.type.kind, parameter.type.kind) != ("int", "float"):
            raise self._misfit(parameter, source.value)
        return Literal(value=self.convert(parameter, source.value, parameter.type, canonical=True), type=parameter.type)

    def convert(self, parameter: Parameter, value: Any, type_: ParamType, *, canonical: bool = False) -> Any:
        """The canonical form of a literal, or of one that is in it already."""
        try:
            return convert(value, type_, parameter.name, text=False, canonical=canonical)
        except ConfigError as error:
            if type_ == JSON_TYPE or value is None:
                raise self._misfit(parameter, value) from None
            raise DefinitionError(
                f"{self.what}: {error.what}", where=self.where, why=error.why, fix=error.fix
            ) from None

    def _misfit(self, parameter: Parameter, value: Any) -> DefinitionError:
        declared = shown_type(parameter)
        if type(value).__module__ == "builtins" and declared.partition("[")[0] == type(value).__qualname__:
            return DefinitionError(
                f"{self.what} is given {shorten(value)} as {parameter.name!r}, which a plan cannot hold",
                where=self.where,
                why="what is written in a pipeline is kept in the plan, as JSON",
                fix="make it in a step, or take a number, text, bool, time, list, tuple or dict",
            )
        wanted = "a JSON value" if parameter.type == JSON_TYPE else article(declared)
        return DefinitionError(
            f"{self.what} takes {wanted} as {parameter.name!r}, not {shorten(value)}",
            where=self.where,
            why=None if value is None else "what is written in a pipeline is kept in the plan, as JSON",
            fix=f"allow it: {parameter.name}: {shown_type(parameter)} | None"
            if value is None
            else "give it the result of a step, or a number, text, bool, time, list or object where it takes one",
        )

    def refuse(self, parameter: Parameter, value: Any) -> None:
        """Refuse what only looks like an argument: a step itself, several outputs, a condition, a marker."""
        if isinstance(value, Outputs):
            self.check(value)
            names = ", ".join(f".{name}" for name in value._handles)
            raise DefinitionError(
                f"{self.what} is given all outputs of {value._show()} as {parameter.name!r}"
                if names
                else f"{self.what} is given {parameter.name!r} from the step {value._show()!r}, which returns nothing",
                where=self.where,
                fix=f"choose one: {names}" if names else f"declare what {value._show()} returns, such as -> float",
            )
        if isinstance(value, Value):
            raise DefinitionError(
                f"{self.what} is given the condition {value._show()} as {parameter.name!r}",
                where=self.where,
                why="conditions are for when(…); a step takes whole outputs",
                fix="hand it the whole output and look into it there",
            )
        if isinstance(value, Marker):
            raise DefinitionError(
                f"{self.what} is given {value!r} itself as {parameter.name!r}",
                where=self.where,
                why="the engine gives it as a parameter of the pipeline",
                fix=f"write def pipeline(…, {parameter.name}: datetime = {value!r}) and hand that on",
            )
        if callable(value) and hasattr(value, "named") and hasattr(value, "function"):
            raise DefinitionError(
                f"{self.what} is given {value.name} itself as {parameter.name!r}, not its result",
                where=self.where,
                fix=f"call it: {parameter.name}={value.name}(…)",
            )
        inner = _first_value(value)
        if inner is not None:
            raise DefinitionError(
                f"{self.what} is given {inner._show()} inside a {type(value).__name__} as {parameter.name!r}",
                where=self.where,
                why="an input is one value of one step",
                fix="give each its own input, or fan out by .map and collect",
            )


def spec_of(parameter: Parameter, source: Source) -> InputSpec:
    """The input of a step from a source."""
    return InputSpec(source=source, type=parameter.type_name, check=parameter.check)


def collection_of(element: TypeName) -> TypeName:
    """The type of a list of these; of lists, only that they are lists is told."""
    text = f"list[{element.text}]"
    if element.collection:
        return TypeName(name="builtins:list", text=text, collection=True, nullable=element.optional)
    return msgspec.structs.replace(element, collection=True, text=text, nullable=element.optional, optional=False)


def _inside(text: str) -> str:
    """What a list's annotation says of its elements."""
    return text.partition("[")[2].removesuffix("]") if text.endswith("]") else "Any"


def _first_value(value: Any) -> Value | None:
    """A handle somewhere inside a list, tuple, set or dict."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple, set)):
        return None
    for item in value:
        found = item if isinstance(item, Value) else _first_value(item)
        if found is not None:
            return found
    return None
