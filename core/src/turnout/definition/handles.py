"""Handles: what a call of a step returns while a pipeline is traced, and what its parameters are."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from turnout.base.errors import DefinitionError
from turnout.definition import fitting, places
from turnout.definition.annotations import unknown_output
from turnout.definition.conditions import Condition, Operand
from turnout.definition.trace import Trace
from turnout.definition.traced_value import Value, refusal
from turnout.model.expressions import Const, Ref
from turnout.model.inputs import Literal, Output, Param
from turnout.model.types import ParamType, TypeName
from turnout.model.values import readable

_CHOOSE = "choose one of its outputs"
_SEVERAL = 'declare several outputs as -> tuple[Annotated[X, "a"], Annotated[Y, "b"]]; another tuple is one value'


class Handle(Operand):
    """One output of a step, one parameter of the pipeline, or, in a sub-pipeline, a value given to it."""

    __slots__ = ("_mapped", "_param", "_source", "_type")
    _source: Output | Param | Literal
    _type: TypeName
    _param: ParamType | None
    _mapped: bool

    def __init__(
        self,
        trace: Trace,
        source: Output | Param | Literal,
        type: TypeName,  # noqa: A002
        *,
        param: ParamType | None = None,
        mapped: bool = False,
    ) -> None:
        super().__init__(trace)
        self._keep(_source=source, _type=type, _param=param, _mapped=mapped)

    def _show(self) -> str:
        match self._source:
            case Output(step=step, output=output):
                return step if output == "output" else f"{step}.{output}"
            case Param(name=name):
                return name
            case Literal(value=value):
                return repr(value)

    def _is_time(self) -> bool:
        return self._param is not None and self._param.kind == "datetime"

    def _condition(self) -> Condition:
        if isinstance(self._source, Literal):
            return Condition(self._trace, Const(readable(self._source.value, self._source.type)), {})
        if self._mapped:
            raise DefinitionError(
                f"{self._show()} comes from a mapped step and cannot be in a condition",
                where=places.here(),
                why="it has one value an element, and a guard is decided once",
                fix="collect the elements in a step that returns one value, and compare that",
            )
        is_content = self._param is not None and self._param.kind in {"file", "folder"}
        if is_content or (self._param is None and not fitting.is_json(self._type)):
            raise DefinitionError(
                f"{self._show()} is of type {self._type.text} and cannot be in a condition",
                where=places.here(),
                why="guards read JSON values only: numbers, texts, bools, lists, objects",
                fix="return a number or an object of numbers from a step, and compare that",
            )
        key = f"{self._source.step}:{self._source.output}" if isinstance(self._source, Output) else self._source.name
        return Condition(self._trace, Ref(key), {key: self})

    def __getattr__(self, name: str) -> Any:
        if isinstance(self._source, Output) and name == self._source.output:
            return self
        if name == "map":
            raise self._error("has no .map", "map a step over it: step.map({name})")
        if self._is_tuple and not name.startswith("_"):
            raise self._error(f"is asked for .{name}", _SEVERAL)
        return super().__getattr__(name)

    def __iter__(self) -> NoReturn:
        if self._is_tuple:
            raise self._error("is looped over or unpacked", _SEVERAL)
        super().__iter__()
        raise AssertionError

    @property
    def _is_tuple(self) -> bool:
        """Whether it is the one output of a step that returns a tuple, such as a NamedTuple."""
        types = (self._type.name, *self._type.bases)
        return isinstance(self._source, Output) and "builtins:tuple" in types and not self._type.collection


class Outputs(Value):
    """The outputs of a step that has several, or none: they unpack in order and are attributes by name."""

    __slots__ = ("_handles", "_step")
    _step: str
    _handles: dict[str, Handle]

    __eq__ = __ne__ = refusal("is compared", _CHOOSE)
    __lt__ = __le__ = __gt__ = __ge__ = refusal("is compared", _CHOOSE)
    __and__ = __rand__ = __or__ = __ror__ = __invert__ = refusal("is used in a condition", _CHOOSE)
    __hash__ = Value.__hash__  # type: ignore[assignment]

    def __init__(self, trace: Trace, step: str, handles: dict[str, Handle]) -> None:
        super().__init__(trace)
        self._keep(_step=step, _handles=handles)

    def _show(self) -> str:
        return self._step

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._handles:
            return self._handles[name]
        raise DefinitionError(
            f"the step {self._step!r} has no output {name!r}",
            where=places.here(),
            fix=unknown_output(name, tuple(self._handles)),
        )

    def __getitem__(self, key: Any) -> NoReturn:
        raise DefinitionError(
            f"the step {self._step!r} has {len(self._handles)} outputs, which are not reached by []",
            where=places.here(),
            fix=f"use {', '.join('.' + name for name in self._handles)}"
            if self._handles
            else "declare what it returns, such as -> float",
        )

    def __iter__(self) -> Iterator[Handle]:  # type: ignore[override]
        targets = _targets(sys._getframe(1))
        count = len(self._handles)
        if targets is not None and not targets[0] <= count <= targets[1]:
            raise DefinitionError(
                f"the step {self._step!r} has {count} outputs and is unpacked into {targets[0]}",
                where=places.here(),
                why=f"they are: {', '.join(self._handles)}" if count else "it declares -> None",
                fix="give each output a name on the left, or declare other outputs: -> tuple[X, Y]",
            )
        return iter(self._handles.values())


def _targets(frame: FrameType) -> tuple[int, int] | None:
    """How many names, at least and at most, the assignment where a frame stands unpacks into; None for none."""
    code = frame.f_code.co_code
    operation, argument = dis.opname[code[frame.f_lasti]], code[frame.f_lasti + 1]
    if operation == "UNPACK_SEQUENCE":
        return argument, argument
    return (argument, sys.maxsize) if operation == "UNPACK_EX" else None
