"""What a step or pipeline takes: its parameters with their types, and how a call's arguments are bound to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from turnout.base.errors import DefinitionError, Location, did_you_mean
from turnout.definition.annotations import NOTHING, describe, resolve, type_name
from turnout.definition.bounds import Unchecked, is_constrained
from turnout.definition.markers import Marker
from turnout.definition.parameters import UnknownType, declared_keys, param_type
from turnout.definition.places import defined
from turnout.model.types import ParamType, TypeName

_EMPTY = inspect.Parameter.empty
_KINDS = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.POSITIONAL_ONLY: "",
}


class Parameter:
    """One parameter of a function: its name, annotation, default (``NOTHING`` for none) and types.

    ``type`` is what a literal is converted to, or None where its type is a class no JSON stands for; ``check`` is that
    again where it has bounds, to which whatever a step is given is held when it runs.
    """

    __slots__ = ("annotation", "check", "default", "keyword_only", "misfit", "name", "type", "type_name")

    def __init__(self, parameter: inspect.Parameter, annotation: Any) -> None:
        self.name = parameter.name
        self.annotation = annotation
        self.default = NOTHING if parameter.default is _EMPTY else parameter.default
        self.keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        self.type_name: TypeName = type_name(annotation)
        found, self.check = checked_type(annotation)
        self.misfit = found if isinstance(found, UnknownType) else None
        self.type: ParamType | None = None if isinstance(found, UnknownType) else found

    @property
    def is_content(self) -> bool:
        """Whether its default is the path of a file or folder, whose content is an input."""
        has_path = self.default is not NOTHING and self.default is not None
        return has_path and self.type is not None and self.type.kind in {"file", "folder"}

    @property
    def required(self) -> bool:
        """Whether a call has to give it."""
        return self.default is NOTHING


class Signature:
    """The parameters of a function by name, and its return annotation (``NOTHING`` for none)."""

    def __init__(self, function: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        hints = resolve(function, scope)
        raw = inspect.signature(function).parameters
        self.function = function
        self.parameters: dict[str, Parameter] = {}
        for name, raw_parameter in raw.items():
            try:
                self.parameters[name] = Parameter(raw_parameter, hints.get(name, NOTHING))
            except Unchecked as error:
                raise unchecked(f"{function.__name__}: the type of {name!r}", error, function) from None
        self.positional = tuple(
            raw_parameter.name for raw_parameter in self.parameters.values() if not raw_parameter.keyword_only
        )
        self.returns = hints.get("return", NOTHING)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], what: str, where: Location) -> dict[str, Any]:
        """Which parameter each argument of a call is for, in the order of the signature.

        Args:
            what: what is called, for the message: ``the step 'fit'``.
            where: the place of the call.

        Raises:
            DefinitionError: for one too many, an unknown name, one given twice, or a required one left out.
        """
        if len(args) > len(self.positional):
            takes = ", ".join(self.positional) or "nothing"
            raise DefinitionError(
                f"{what} got {len(args)} positional arguments and takes {len(self.positional)}",
                where=where,
                why=f"by position it takes: {takes}",
                fix=self._keyword_fix(),
            )
        bound = dict(zip(self.positional, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.parameters:
                guess = did_you_mean(name, self.parameters)
                raise DefinitionError(
                    f"{what} has no input {name!r}. {guess}".rstrip(" ."),
                    where=where,
                    fix=f"it takes: {', '.join(self.parameters) or 'nothing'}",
                )
            if name in bound:
                raise DefinitionError(
                    f"{what} got {name!r} twice, by position and by name", where=where, fix="give it once"
                )
            bound[name] = value
        missing = [one.name for one in self.parameters.values() if one.required and one.name not in bound]
        if missing:
            raise DefinitionError(
                f"{what} is called without {', '.join(repr(name) for name in missing)}",
                where=where,
                why="it has no default" if len(missing) == 1 else "they have no defaults",
                fix=f"give it: {missing[0]}=…",
            )
        return {name: bound[name] for name in self.parameters if name in bound}

    def _keyword_fix(self) -> str:
        named = [one.name for one in self.parameters.values() if one.keyword_only]
        return f"give the others by name: {named[0]}=…" if named else "leave the others out"


def checked_type(annotation: Any) -> tuple[ParamType | UnknownType, ParamType | None]:
    """The type of an annotation, or why it is none; and that type again where it has bounds.

    Raises:
        Unchecked: for a constraint that values cannot be held to.
    """
    try:
        declared = param_type(annotation)
    except UnknownType as error:
        if is_constrained(annotation):
            raise Unchecked("a constraint on a value of this class cannot be checked") from None
        return error, declared_keys(annotation)
    return declared, declared if declared.is_bounded else None


def unchecked(what: str, error: Unchecked, function: Callable[..., Any]) -> DefinitionError:
    """The error for a constraint that nobody would hold a value to."""
    return DefinitionError(
        f"{what} declares what is not checked: {error}",
        where=defined(function),
        fix="take it out and check in the step, or declare gt, ge, lt, le, multiple_of, min_length, max_length or "
        "pattern on a number, text, list or dict",
    )


def check_parameters(function: Callable[..., Any], kind: str) -> tuple[str, ...]:
    """Refuse parameters that no plan can name: ``*args``, ``**kwargs``, positional-only, markers in a step.

    Returns:
        The parameters' names.

    Raises:
        DefinitionError: for the first of them.
    """
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if parameter.kind in _KINDS:
            shown = _KINDS[parameter.kind] + name
            raise DefinitionError(
                f"{function.__name__} takes {shown}, which a {kind} cannot"
                + (" as it is positional only" if parameter.kind is inspect.Parameter.POSITIONAL_ONLY else ""),
                where=defined(function),
                why="each input has a name in the plan",
                fix="leave out the / in the signature"
                if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
                else "name each parameter; for many alike take one list",
            )
        if kind == "step" and isinstance(parameter.default, Marker):
            raise DefinitionError(
                f"the step {function.__name__!r} has {parameter.default!r} as the default of {name!r}",
                where=defined(function),
                why="only a pipeline's parameters are given by the engine",
                fix=f"make it a parameter of the pipeline, {name}: datetime = {parameter.default!r}, "
                "and hand it to the step",
            )
    return tuple(parameters)


def shown_type(parameter: Parameter) -> str:
    """The declared type of a parameter, for messages."""
    return describe(parameter.annotation)
