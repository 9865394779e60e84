"""The functions behind steps and pipelines: which can be one, and where a worker finds them."""

from __future__ import annotations

import inspect
import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from turnout.base.canonical import digest
from turnout.base.errors import DefinitionError
from turnout.base.source_lines import Pickled, lines_of
from turnout.definition.annotations import module_name
from turnout.definition.places import defined, here, written
from turnout.model.spec import Entrypoint
from turnout.model.values import article

_NOTEBOOK = {"__main__", "__mp_main__"}


class Found(msgspec.Struct, frozen=True):
    """Where a worker finds a function; ``value`` is its pickle where it travels by value."""

    entrypoint: Entrypoint
    value: bytes | None = None


def check(function: Any, kind: str) -> None:
    """Refuse what cannot be a step or pipeline.

    Args:
        kind: ``step`` or ``pipeline``, for the message.

    Raises:
        DefinitionError: for everything but a plain function.
    """
    if not isinstance(function, types.FunctionType):
        what = "a method" if inspect.ismethod(function) else article(type(function).__name__)
        raise DefinitionError(
            f"@{kind} takes a plain function, not {'a class' if isinstance(function, type) else what}",
            where=here(),
            fix=f"write a function, @{kind} above its def, and let it call what is needed",
        )
    name = function.__name__
    if name == "<lambda>":
        raise DefinitionError(
            f"a lambda cannot be {article(kind)}",
            where=defined(function),
            why="it has no name",
            fix=f"write a def with @{kind} above it",
        )
    outer = function.__qualname__.rpartition(".")[0]
    if outer and not outer.endswith("<locals>"):
        raise DefinitionError(
            f"{function.__qualname__} is a method and cannot be {article(kind)}",
            where=defined(function),
            why="a worker has no object to call it on",
            fix="move it out of the class, to the top of the module",
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(
            f"{name} is an async function and cannot be {article(kind)}",
            where=defined(function),
            fix="make it a plain def" + (" that calls asyncio.run(…) inside" if kind == "step" else ""),
        )
    if inspect.isgeneratorfunction(function):
        raise DefinitionError(
            f"{name} yields its results and cannot be {article(kind)}",
            where=defined(function),
            fix="return a list: each of its elements becomes an artifact" if kind == "step" else "return the handles",
        )


def entrypoint(function: Callable[..., Any], holder: object) -> Found:
    """Where a worker finds *function*, which was decorated to *holder*.

    By its module and name where importing gives it back, else by value: a function of a notebook or of another
    function, or one whose name was given to something else.

    Raises:
        DefinitionError: when it cannot be pickled.
    """
    module, qualname = module_name(function.__module__), function.__qualname__
    if is_importable(function) and _reaches(function, holder):
        return Found(Entrypoint(module=module, qualname=qualname))
    try:
        data = _pickled(function)
    except Exception as error:
        raise DefinitionError(
            f"{function.__name__} cannot be sent to a worker: {type(error).__name__}: {error}",
            where=defined(function),
            why="it is not at the top of a module, so it travels by value with all that it uses",
            fix="move it to the top of a module, or let it open what it needs inside",
        ) from error
    return Found(Entrypoint(module=module, qualname=qualname, value=digest(data)), data)


def _pickled(function: Callable[..., Any]) -> bytes:
    """A function with all that it uses, and with the source lines of all code that travels so."""
    import cloudpickle

    codes: list[types.CodeType] = []

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, types.CodeType):
                codes.append(value)
            return super().reducer_override(value)

    Pickler(io.BytesIO()).dump(function)
    return bytes(cloudpickle.dumps(Pickled(function, lines_of(codes))))


def is_importable(function: Callable[..., Any]) -> bool:
    """Whether a worker can import the function's module and reach its name."""
    return "<locals>" not in function.__qualname__ and module_name(function.__module__) not in _NOTEBOOK


def lookup(module: ModuleType | None, qualname: str) -> Any:
    """What *module* has under a name with dots, or None."""
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _reaches(function: Callable[..., Any], holder: object) -> bool:
    """Whether the function's module has it, or its decorated form, under its name."""
    reached = lookup(sys.modules.get(function.__module__), function.__qualname__)
    while reached is not None:
        if reached is holder or reached is function or getattr(reached, "function", None) is function:
            return True
        reached = getattr(reached, "__wrapped__", None)
    return False


def is_lasting(function: Callable[..., Any]) -> bool:
    """Whether the function lies in a file, so that it stays what it is; a notebook's cell may be run again."""
    return Path(written(function).__code__.co_filename).is_file()
