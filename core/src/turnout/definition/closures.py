"""What a function that is defined inside another one takes along of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from turnout.base.errors import DefinitionError, Location
from turnout.definition.traced_value import Value


def refuse_handles(function: Callable[..., Any], what: str, where: Location) -> None:
    """Refuse a function that uses a handle of the pipeline around it: a worker would find no value there.

    Args:
        what: whose function it is, for the message: ``the step 'fit'``.
        where: the line that calls it.

    Raises:
        DefinitionError: naming the variable.
    """
    for name, value in _variables(function):
        if (handle := next(_handles(value, set()), None)) is not None:
            handed = handle._show()
            raise DefinitionError(
                f"{what} uses {handed} of the pipeline around it{'' if name == handed else f', by {name!r}'}",
                where=where,
                why="a pipeline is defined before any step runs: a step gets only what it is called with",
                fix=f"make it a parameter of the step, and call the step with it: {function.__name__}(…, {handed})",
            )


def _variables(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The variables of outer functions that a function uses, and its defaults."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    defaults = getattr(function, "__defaults__", None) or ()
    if code and defaults:
        yield from zip(code.co_varnames[: code.co_argcount][-len(defaults) :], defaults, strict=True)
    yield from (getattr(function, "__kwdefaults__", None) or {}).items()


def _handles(value: Any, seen: set[int]) -> Iterator[Value]:
    if isinstance(value, Value):
        yield value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, FunctionType):
        inner = [item for _, item in _variables(value)]
    elif type(value) is dict:
        inner = list(value.values())
    elif type(value) in (list, tuple):
        inner = list(value)
    for item in inner:
        yield from _handles(item, seen)
