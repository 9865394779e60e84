"""The base of all that stands for a value while a pipeline is traced: whatever needs the value itself is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from turnout.base.errors import DefinitionError
from turnout.definition import places
from turnout.definition.trace import Trace

_UNKNOWN = "a pipeline is defined before any step runs, so no value is known yet"
_WHEN = "decide at run time: with {when}: …; combine conditions by & | ~"
IN_STEP = "do it in a step, which gets the value itself"


def refusal(what: str, fix: str = IN_STEP) -> Callable[..., NoReturn]:
    """A method that refuses to be called: *what* is wrong with it, and the fix (see :meth:`Value._error`)."""

    def refuse(self: Value, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise self._error(what, fix)

    return refuse


class Value:
    """Stands for a value nobody has yet. Only what can be written into a plan is allowed with it."""

    __slots__ = ("_trace",)
    _trace: Trace

    def __init__(self, trace: Trace) -> None:
        self._keep(_trace=trace)

    def _keep(self, **fields: Any) -> None:
        for name, field in fields.items():
            object.__setattr__(self, name, field)

    def _show(self) -> str:
        """The value as a person would call it."""
        raise NotImplementedError

    def _error(self, what: str, fix: str) -> DefinitionError:
        preview = self._show()
        return DefinitionError(
            f"{preview} {what}",
            where=places.here(),
            why=_UNKNOWN,
            fix=fix.replace("{name}", preview.rpartition(".")[2]).replace("{when}", self._guard()),
        )

    def _guard(self) -> str:
        """How it stands in a guard, for messages."""
        return f"when({self._show().rpartition('.')[2]} > 0.5)"

    __bool__ = refusal("is used as a condition (if, while, and, or, not, a < b < c)", _WHEN)
    __hash__ = refusal("is used as a key or in a set", "use names as keys")
    __len__ = refusal("is asked for its length")
    __contains__ = refusal("is used with `in`", "write with when({name}.contains(x)): …, or do it in a step")
    __iter__ = refusal("is looped over or unpacked", "fan out over a list by step.map({name}), or do it in a step")
    __next__ = refusal("is looped over", "fan out over a list by step.map({name}), or do it in a step")
    __str__ = __format__ = refusal("is made into text (str, print, an f-string)")
    __bytes__ = refusal("is made into bytes")
    __int__ = __float__ = __complex__ = __index__ = refusal("is made into a number")
    __array__ = __fspath__ = refusal("is opened or handed to a library")
    __call__ = refusal("is called", "call the step, not what it returns")
    __enter__ = __exit__ = refusal("is used with `with`", "write with {when}: …")
    __setitem__ = __delitem__ = __delattr__ = refusal("is changed")
    __reversed__ = __await__ = refusal("is used as if it were there")
    __neg__ = __pos__ = __abs__ = __round__ = __trunc__ = __floor__ = __ceil__ = refusal("is calculated with")
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __divmod__ = refusal("is calculated with")
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rdivmod__ = __add__
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __add__
    __xor__ = __rxor__ = __add__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error(f"is asked for .{name}", IN_STEP)

    def __setattr__(self, name: str, value: Any) -> None:
        raise self._error(f"is changed: .{name} is set", IN_STEP)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self._show()}>"


def foreign(value: Value) -> DefinitionError:
    """The error for a handle of another pipeline, or of one that is traced already."""
    return DefinitionError(
        f"{value._show()} is a handle of the pipeline {value._trace.pipeline!r} and is used outside it",
        where=places.here(),
        why="a handle stands for a value of its own pipeline, while that is traced",
        fix="call the step in this pipeline, or make the value a parameter",
    )
