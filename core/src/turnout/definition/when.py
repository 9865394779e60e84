"""Guards: ``with when(report["r2"] > 0.3):`` decides at run time whether the steps in it run."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from turnout.base import names
from turnout.base.errors import DefinitionError
from turnout.definition import places
from turnout.definition.conditions import Condition, Operand, rename
from turnout.definition.handles import Handle
from turnout.definition.trace import Trace, current
from turnout.definition.traced_value import Value, foreign
from turnout.model.expressions import Expression
from turnout.model.inputs import InputSpec, Literal, Output
from turnout.model.spec import StepSpec
from turnout.model.values import shorten


class Guard:
    """What ``when`` returns: the steps called in its ``with`` block run only if the condition holds."""

    def __init__(self, trace: Trace, condition: Condition, name: str | None) -> None:
        self._trace = trace
        self._condition = condition
        self._name = name
        self._outer: str | None = None
        self._where = places.here()
        trace.unentered[id(self)] = self._where

    def __enter__(self) -> None:
        trace = self._trace
        if id(self) not in trace.unentered:
            raise DefinitionError(
                "the same when(…) is entered twice", where=places.here(), fix="call when(…) again, with another name="
            )
        del trace.unentered[id(self)]
        full = trace.claim(self._name or trace.free("when", 1), "gate", self._where)
        expression, inputs = _inputs(self._condition)
        trace.add(
            StepSpec(
                name=full,
                kind="gate",
                inputs=inputs,
                expression=expression,
                guards=trace.guards,
                place=places.place(self._where),
            )
        )
        self._outer, trace.gate = trace.gate, full

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._trace.gate = self._outer


def when(condition: Any, name: str | None = None) -> Guard:
    """Run the steps called in the ``with`` block only if a condition holds, which is decided at run time.

    Args:
        condition: a comparison of outputs and parameters, combined by ``&``, ``|`` and ``~``; a step's output or a
            parameter that is a bool by its type stands alone.
        name: the guard's name in engines; ``when_1``, ``when_2``, … by default.

    Raises:
        DefinitionError: outside a pipeline, or for what is no condition.
    """
    where = places.here()
    trace = current.get()
    if trace is None:
        raise DefinitionError(
            "when(…) is used outside a pipeline",
            where=where,
            why="it writes down what is decided when the pipeline runs",
            fix="use it in the function below @pipeline; in a step, use if",
        )
    if name is not None:
        names.check(name, "guard", where, "when(…, name={})")
    if not isinstance(condition, Operand):
        if isinstance(condition, Value):
            raise DefinitionError(
                f"when({condition._show()}) has several outputs or none", where=where, fix="compare one of its outputs"
            )
        function_name = getattr(condition, "name", None) if callable(condition) else None
        raise DefinitionError(
            f"when({function_name or shorten(condition)}) has nothing to decide at run time",
            where=where,
            why=f"{function_name} is not called" if function_name else "its condition is a plain value",
            fix=f"call it: when({function_name}(…))"
            if function_name
            else 'compare an output or a parameter: when(report["r2"] > 0.3); for what is known now, use if',
        )
    if condition._trace is not trace:
        raise foreign(condition)
    if isinstance(condition, Handle):
        _check_bool(condition)
    return Guard(trace, condition._condition(), name)


def _check_bool(handle: Handle) -> None:
    source = handle._source
    is_bool = isinstance(source.value, bool) if isinstance(source, Literal) else handle._type.name == "builtins:bool"
    if handle._mapped or handle._type.collection or not is_bool:
        preview = handle._show()
        raise DefinitionError(
            f"when({preview}) is no comparison, and {preview} is not known to be a bool",
            where=places.here(),
            why=f"its type is {handle._type.text}",
            fix=f"compare it, when({preview} > 0.3), or declare it as a bool",
        )


def _inputs(condition: Condition) -> tuple[Expression, dict[str, InputSpec]]:
    """The expression with readable names, and the inputs they stand for."""
    readable: dict[str, str] = {}
    inputs: dict[str, InputSpec] = {}
    for key, handle in condition._refs.items():
        name, number = _short(handle), 2
        while name in inputs:
            name, number = f"{_short(handle)}_{number}", number + 1
        readable[key] = name
        inputs[name] = InputSpec(source=handle._source, type=handle._type)
    return rename(condition._expression, readable), inputs


def _short(handle: Handle) -> str:
    source = handle._source
    if not isinstance(source, Output):
        return handle._show()
    step = source.step.rpartition(".")[2]
    return step if source.output == "output" else f"{step}_{source.output}"
