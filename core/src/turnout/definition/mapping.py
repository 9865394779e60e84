"""Fanning out: the lists that ``.map`` walks side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from turnout.base.errors import DefinitionError, Location
from turnout.definition import places
from turnout.definition.annotations import type_name
from turnout.definition.handles import Handle
from turnout.definition.parameters import type_name_of
from turnout.definition.signature import Parameter
from turnout.definition.traced_value import Value
from turnout.definition.wiring import Wiring, collection_of
from turnout.model.inputs import InputSpec, Literal, Output, Param
from turnout.model.spec import Entrypoint, OutputSpec, StepSpec
from turnout.model.types import ANY, ParamType
from turnout.model.values import is_plain, shorten

ELEMENTS = Entrypoint(module="turnout.steps", qualname="elements")


def lists(
    wiring: Wiring, step: str, parameters: Mapping[str, Parameter], given: Mapping[str, Any]
) -> dict[str, Handle]:
    """For each argument of ``.map`` given by position the handle whose elements it walks.

    A parameter or a list written down becomes the output of a step ``<step>_items`` that is added.

    Raises:
        DefinitionError: for nothing given, for what is no list, and for lists of different lengths.
    """
    if not given:
        raise DefinitionError(
            f"{wiring.what} is mapped over nothing",
            where=wiring.where,
            why=".map walks what is given by position; what is given by name stays the same",
            fix=f"write {step}.map(a_list, …)",
        )
    lengths = {name: len(value) for name, value in given.items() if isinstance(value, (list, tuple, range))}
    if len(set(lengths.values())) > 1:
        raise _lengths(wiring.what, lengths, wiring.where)
    made: dict[str, Handle] = {}
    for name, value in given.items():
        made[name] = _list(wiring, step, parameters[name], value)
    return made


def run_map(function: Callable[..., Any], outputs: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``.map`` does outside a pipeline.

    Raises:
        DefinitionError: for nothing given by position, and for lists of different lengths.
    """
    what = f"the step {function.__name__!r}"
    if not args:
        raise DefinitionError(
            f"{what} is mapped over nothing", where=places.here(), fix=f"write {function.__name__}.map(a_list, …)"
        )
    columns = [list(arg) for arg in args]
    lengths = {f"argument {number}": len(column) for number, column in enumerate(columns, 1)}
    if len(set(lengths.values())) > 1:
        raise _lengths(what, lengths, places.here())
    results = [function(*row, **kwargs) for row in zip(*columns, strict=True)]
    if outputs < 2:
        return results
    return tuple([row[number] for row in results] for number in range(outputs))


def _lengths(what: str, lengths: Mapping[str, int], where: Location) -> DefinitionError:
    return DefinitionError(
        f"{what} is mapped over lists of different lengths",
        where=where,
        why=", ".join(f"{name} has {length}" for name, length in lengths.items()),
        fix="make them of one length: they are walked side by side",
    )


def _list(wiring: Wiring, step: str, parameter: Parameter, value: Any) -> Handle:
    if isinstance(value, (list, tuple, range)):
        return _items(wiring, step, _written(wiring, parameter, list(value)))
    if not isinstance(value, Handle):
        wiring.refuse(parameter, value)
        raise _no_list(wiring, step, parameter, shorten(value))
    wiring.check(value)
    if isinstance(value._source, Output):
        if value._mapped or value._type.collection:
            return value
        if value._type.name == "any":
            raise DefinitionError(
                f"{wiring.what} is mapped over {value._show()}, which does not say that it is a list",
                where=wiring.where,
                why="only the elements of an output that is declared as a list are kept one by one",
                fix="declare what it returns: -> list[X]",
            )
    elif (value._param or _type(value)).kind == "list":
        return _items(wiring, step, value._source, value._param)
    raise _no_list(wiring, step, parameter, f"{value._show()}, of type {value._type.text}")


def _type(value: Handle) -> ParamType:
    assert isinstance(value._source, Literal)
    return value._source.type


def _written(wiring: Wiring, parameter: Parameter, items: list[Any]) -> Literal:
    """A list that is written in the definition."""
    if any(isinstance(item, Value) for item in items):
        wiring.refuse(parameter, items)
    literals = [wiring.literal(parameter, item) for item in items]
    types = {literal.type for literal in literals}
    if any(literal.type.kind in {"file", "folder"} for literal in literals):
        raise DefinitionError(
            f"{wiring.what} is mapped over files written in the definition",
            where=wiring.where,
            fix="give them as one Folder to a step that returns list[File], and map over that",
        )
    values = [literal.value for literal in literals]
    if len(types) > 1 and not all(is_plain(type_) for type_ in types):
        each = tuple(literal.type for literal in literals)
        return Literal(value=values, type=ParamType(kind="list", items=each, sequence="fixed"))
    return Literal(value=values, type=ParamType(kind="list", items=(types.pop(),) if len(types) == 1 else ()))


def _items(wiring: Wiring, step: str, source: Literal | Param | Output, type_: ParamType | None = None) -> Handle:
    """Add the step that gives the elements of a literal or a parameter as a list output."""
    trace = wiring.trace
    name = f"{step}_items"
    if trace.is_taken(name):
        name = trace.free(name, 2)
    given = source.type if isinstance(source, Literal) else type_
    types = set() if given is None else set(given.items)
    element = type_name_of(types.pop()) if len(types) == 1 else ANY
    output = OutputSpec(name="output", type=collection_of(element))
    spec = StepSpec(
        name=trace.claim(name, "step", wiring.where),
        entrypoint=ELEMENTS,
        inputs={"items": InputSpec(source=source, type=type_name(list))},
        guards=trace.guards,
        outputs=(output,),
        doc=f"The elements that {step} is mapped over.",
        place=places.place(wiring.where),
    )
    trace.add(spec)
    return Handle(trace, Output(step=spec.name, output=output.name), output.type)


def _no_list(wiring: Wiring, step: str, parameter: Parameter, shown: str) -> DefinitionError:
    return DefinitionError(
        f"{wiring.what} is mapped over {shown}, which is not a list",
        where=wiring.where,
        why=".map walks what is given by position; what is given by name stays the same",
        fix=f"give it by name: {step}.map(…, {parameter.name}=…)",
    )
