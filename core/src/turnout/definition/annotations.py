"""Annotations read as types: of steps' inputs and outputs, by name; of parameters, from a closed set."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import msgspec

from turnout.base import names
from turnout.base.errors import DefinitionError, Location, did_you_mean
from turnout.definition.places import defined, project_of, written
from turnout.files import File, Folder
from turnout.model.types import ANY, TypeName

_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence)
_NONE = type(None)
_QUALIFIERS = tuple(getattr(typing, name) for name in ("Required", "NotRequired", "ReadOnly") if hasattr(typing, name))
_UNIONS = (typing.Union, types.UnionType)
_PATH_BASES = ("pathlib:Path", "pathlib:PurePath")
NOTHING = object()
"""Stands for an annotation that is not there."""


class OutputType(msgspec.Struct, frozen=True):
    """A declared output: its name, its type, and the annotation."""

    name: str
    type: TypeName
    annotation: Any = NOTHING


def resolve(function: Callable[..., Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a function, texts among them evaluated with *scope* and the globals where it is written.

    A decorator that says what it wraps hands on the annotations of that, and is often of another module.

    Raises:
        DefinitionError: for one that names what does not exist at run time.
    """
    where = defined(function)
    try:
        signature = inspect.signature(function)
    except NameError as error:
        raise _unresolved(function, "its annotations", str(error), where) from None
    raw = {name: one.annotation for name, one in signature.parameters.items()} | {"return": signature.return_annotation}
    globals_ = written(function).__globals__
    resolved: dict[str, Any] = {}
    for name, annotation in raw.items():
        if annotation is inspect.Parameter.empty:
            continue
        if isinstance(annotation, type):
            resolved[name] = annotation
            continue
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            resolved[name] = typing.get_type_hints(holder, {**globals_, **scope}, {}, include_extras=True)[name]
        except Exception as error:
            what = "its return type" if name == "return" else f"the type of {name!r}"
            shown = annotation if isinstance(annotation, str) else repr(annotation)
            raise _unresolved(function, f"{what}, {shown}", str(error), where) from None
    return resolved


def _unresolved(function: Callable[..., Any], what: str, why: str, where: Location) -> DefinitionError:
    return DefinitionError(
        f"{function.__name__}: {what}, cannot be understood",
        where=where,
        why=why,
        fix="import the type where it can be found at run time, not under `if TYPE_CHECKING`, or leave it out",
    )


class Bare(NamedTuple):
    """An annotation without ``Annotated``, ``NewType`` and the like; whether it allows None, and what was annotated."""

    inner: Any
    optional: bool
    metadata: tuple[Any, ...]


def peel(annotation: Any) -> Bare:
    """Take an annotation apart."""
    optional = False
    metadata: tuple[Any, ...] = ()
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            metadata = (*metadata, *annotation.__metadata__)
            annotation = annotation.__origin__
        elif origin in (typing.Final, typing.ClassVar, *_QUALIFIERS):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif origin in _UNIONS and _NONE in typing.get_args(annotation):
            optional = True
            rest = tuple(arg for arg in typing.get_args(annotation) if arg is not _NONE)
            annotation = typing.Union[rest]  # noqa: UP007 - made at run time
        else:
            return Bare(annotation, optional, metadata)


def bare(annotation: Any) -> tuple[Any, bool]:
    """The annotation without ``Annotated``, ``NewType`` and the like, and whether it allows None."""
    return peel(annotation)[:2]


def type_name(annotation: Any) -> TypeName:
    """The type of an input or output, by name."""
    if annotation is NOTHING:
        return ANY
    inner, optional = bare(annotation)
    text = describe(annotation)
    origin = typing.get_origin(inner)
    if inner is list or origin in _LISTS:
        args = typing.get_args(inner)
        element, nullable = bare(args[0]) if args else (Any, False)
        name, bases = _named(element)
        return TypeName(name=name, bases=bases, text=text, optional=optional, collection=True, nullable=nullable)
    name, bases = _named(inner)
    return TypeName(name=name, bases=bases, text=text, optional=optional)


def _named(annotation: Any) -> tuple[str, tuple[str, ...]]:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        kinds = {type(choice) for choice in typing.get_args(annotation)}
        annotation = kinds.pop() if len(kinds) == 1 else Any
    elif origin is not None and origin not in _UNIONS:
        annotation = origin
    if annotation is _NONE or annotation is None:
        return "builtins:NoneType", ()
    if not isinstance(annotation, type) or annotation is object or annotation is Any:
        return "any", ()
    return class_names(annotation)


@functools.lru_cache(maxsize=4096)
def class_names(cls: type[Any]) -> tuple[str, tuple[str, ...]]:
    """A class as ``module:qualname``, and its bases without ``object``; the same on every system."""
    if issubclass(cls, (File, Folder)):
        return class_name(cls), _PATH_BASES
    bases = (class_name(base) for base in cls.__mro__[1:] if base is not object)
    return class_name(cls), tuple(dict.fromkeys(bases))


def class_name(cls: type[Any]) -> str:
    """A class as ``module:qualname``, by the module's name in the project where it was run as a script."""
    if issubclass(cls, PurePath) and cls.__module__.startswith("pathlib"):
        return "pathlib:Path" if issubclass(cls, Path) else "pathlib:PurePath"
    return f"{module_name(cls.__module__)}:{cls.__qualname__}"


def module_name(module: str) -> str:
    """The name under which a worker imports a module: ``__main__`` becomes the script's own name."""
    if module in {"__main__", "__mp_main__"}:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and Path(file).is_file():
            return project_of(file).module_of(Path(file)) or module
    return module


def describe(annotation: Any) -> str:
    """The annotation as a person writes it, alike in every version of Python."""
    if annotation is NOTHING or annotation is Any:
        return "Any"
    if annotation is _NONE or annotation is None:
        return "None"
    if annotation is Ellipsis:
        return "..."
    inner, optional = bare(annotation)
    if optional:
        return f"{describe(inner)} | None"
    origin, args = typing.get_origin(inner), typing.get_args(inner)
    if origin in _UNIONS:
        return " | ".join(describe(arg) for arg in args)
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(arg) for arg in args)}]"
    if origin is not None:
        shown = ", ".join("[...]" if isinstance(arg, list) else describe(arg) for arg in args)
        return f"{getattr(origin, '__name__', origin)}[{shown}]"
    return getattr(inner, "__qualname__", None) or getattr(inner, "__name__", None) or "Any"


def outputs(annotation: Any, step: str, where: Location) -> tuple[OutputType, ...]:
    """The outputs that a step's return annotation declares.

    Nothing declared is one output named ``output``; ``None`` is none; a tuple of a fixed length is one each.

    Raises:
        DefinitionError: for a name that cannot be used, or is used twice.
    """
    if annotation is NOTHING:
        return (OutputType("output", ANY),)
    if annotation in (None, _NONE, typing.NoReturn) or getattr(annotation, "__name__", "") == "Never":
        return ()
    label = _label(annotation)
    args = typing.get_args(annotation)
    if label is None and typing.get_origin(annotation) is tuple and Ellipsis not in args and len(args) > 1:
        declared = [OutputType(_label(arg) or f"output_{n}", type_name(arg), arg) for n, arg in enumerate(args)]
    else:
        if label is None and typing.get_origin(annotation) is tuple and len(args) == 1 and _label(args[0]):
            raise DefinitionError(
                f"the step {step!r} declares a tuple of one output",
                where=where,
                fix=f'return the value itself: -> Annotated[{describe(args[0])}, "{_label(args[0])}"]',
            )
        declared = [OutputType(label or "output", type_name(annotation), annotation)]
    _check_names(declared, step, where)
    return tuple(declared)


def _label(annotation: Any) -> str | None:
    """The name that ``Annotated[X, "name"]`` gives an output."""
    if typing.get_origin(annotation) is typing.Annotated:
        return next((extra for extra in annotation.__metadata__ if isinstance(extra, str)), None)
    return None


def _check_names(found: Sequence[OutputType], step: str, where: Location) -> None:
    seen: list[str] = []
    for output in found:
        names.check(output.name, f"the step {step!r}: output", where, "Annotated[…, {}]")
        if output.name in seen or names.clash(output.name, seen):
            raise DefinitionError(
                f"the step {step!r} has two outputs named {output.name!r}",
                where=where,
                why="names that differ in case only count as one: some file systems cannot tell them apart",
                fix='give each its own: tuple[Annotated[X, "a"], Annotated[Y, "b"]]',
            )
        seen.append(output.name)


def unknown_output(name: str, known: Sequence[str]) -> str:
    """What to do about an output that does not exist."""
    guess = did_you_mean(name, known)
    return f"{guess} Its outputs are: {', '.join(known)}".strip() if known else "it returns nothing"
