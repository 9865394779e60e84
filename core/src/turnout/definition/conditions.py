"""Conditions: what comparisons of handles make. A guard is built of them, see :mod:`turnout.definition.when`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from turnout.base.errors import ConfigError, DefinitionError
from turnout.definition import places
from turnout.definition.trace import Trace
from turnout.definition.traced_value import Value, foreign
from turnout.model.expressions import And, Compare, CompareOp, Const, Contains, Expression, Index, Not, Or, Ref, render
from turnout.model.types import JSON_TYPE, ParamType, ScalarKind
from turnout.model.values import convert, member_key, readable, shorten

if TYPE_CHECKING:
    from turnout.definition.handles import Handle


_TIMES: dict[type[Any], ScalarKind] = {datetime: "datetime", date: "date", timedelta: "timedelta"}


class Operand(Value):
    """A value that conditions can be built of, by comparison, indexing, membership, ``&``, ``|`` and ``~``."""

    __slots__ = ()
    __hash__ = Value.__hash__  # type: ignore[assignment]

    def _condition(self) -> Condition:
        """The value as an expression.

        Raises:
            DefinitionError: when guards cannot read it.
        """
        raise NotImplementedError

    def _is_time(self) -> bool:
        return False

    def isin(self, container: Any) -> Condition:
        """Whether the value is one of a list's elements: ``day.isin(["mon", "tue"])``."""
        if not isinstance(container, (list, tuple, dict, Value)):
            raise DefinitionError(
                f"{self._show()}.isin takes a list, not {shorten(container)}",
                where=places.here(),
                fix='write .isin(["a", "b"])',
            )
        return self._join(self._other(container), Contains)

    def contains(self, item: Any) -> Condition:
        """Whether a list has the element, an object the key, or a text the part: ``tags.contains("new")``."""
        return self._join(self._other(item), lambda holder, part: Contains(part, holder))

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Condition:
        return self._compare(">=", other)

    def __and__(self, other: Any) -> Condition:
        return self._join(self._bool(other, "&"), And)

    def __rand__(self, other: Any) -> Condition:
        return self._join(self._bool(other, "&"), And)

    def __or__(self, other: Any) -> Condition:
        return self._join(self._bool(other, "|"), Or)

    def __ror__(self, other: Any) -> Condition:
        return self._join(self._bool(other, "|"), Or)

    def __invert__(self) -> Condition:
        inner = self._condition()
        return Condition(self._trace, Not(inner._expression), inner._refs)

    def __getitem__(self, key: Any) -> Condition:
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise DefinitionError(
                f"{self._show()}[…] takes a text or a whole number, not {_shown(key)}",
                where=places.here(),
                why="in a pipeline, indexing makes a condition over a JSON value",
                fix='write report["r2"] or scores[0], or do it in a step, which gets the value itself',
            )
        base = self._condition()
        return Condition(self._trace, Index(base._expression, key), base._refs)

    def _compare(self, op: CompareOp, other: Any) -> Condition:
        right = self._other(other)
        if op not in {"==", "!="}:
            _check_order(self, op)
            _check_order(other, op)
        return self._join(right, lambda left, right: Compare(op, left, right))

    def _join(self, other: Condition, node: Any) -> Condition:
        mine = self._condition()
        return Condition(self._trace, node(mine._expression, other._expression), {**mine._refs, **other._refs})

    def _other(self, other: Any) -> Condition:
        if isinstance(other, Operand):
            if other._trace is not self._trace:
                raise foreign(other)
            return other._condition()
        if isinstance(other, Value):
            raise other._error("has several outputs or none, and cannot be compared", "choose one of its outputs")
        return Condition(self._trace, Const(_constant(other)), {})

    def _bool(self, other: Any, word: str) -> Condition:
        if isinstance(other, Operand):
            return self._other(other)
        raise DefinitionError(
            f"{self._show()} and {_shown(other)} cannot be combined by {word}",
            where=places.here(),
            why=f"Python reads {word} before a comparison",
            fix='put each comparison in parentheses: (report["r2"] > 0.3) & (rows > 100)',
        )


class Condition(Operand):
    """An expression over handles; ``_refs`` are the handles that its references stand for."""

    __slots__ = ("_expression", "_refs")
    _expression: Expression
    _refs: dict[str, Handle]

    def __init__(self, trace: Trace, expression: Expression, refs: dict[str, Handle]) -> None:
        super().__init__(trace)
        self._keep(_expression=expression, _refs=refs)

    def _condition(self) -> Condition:
        return self

    def _guard(self) -> str:
        return f"when({self._show()})"

    def _show(self) -> str:
        return render(rename(self._expression, {key: handle._show() for key, handle in self._refs.items()}))


def rename(node: Expression, names: dict[str, str]) -> Expression:
    """The expression with its references renamed."""
    match node:
        case Ref(input=key):
            return Ref(names[key])
        case Const():
            return node
        case Index(base=base, key=key):
            return Index(rename(base, names), key)
        case Compare(op=op, left=left, right=right):
            return Compare(op, rename(left, names), rename(right, names))
        case Contains(item=item, container=container):
            return Contains(rename(item, names), rename(container, names))
        case Not(operand=operand):
            return Not(rename(operand, names))
        case And(left=left, right=right):
            return And(rename(left, names), rename(right, names))
        case Or(left=left, right=right):
            return Or(rename(left, names), rename(right, names))


def _constant(value: Any) -> Any:
    if isinstance(value, Enum):
        value = member_key(value)
    kind = next((kind for cls, kind in _TIMES.items() if isinstance(value, cls)), None)
    type_ = JSON_TYPE if kind is None else ParamType(kind=kind)
    try:
        return readable(convert(value, type_, "condition", text=False), type_)
    except ConfigError as error:
        raise DefinitionError(
            f"{shorten(value)} cannot be in a condition",
            where=places.here(),
            why=error.why or "guards compare JSON values only",
            fix="compare with a number, a text, a bool, None, a list or an object",
        ) from None


def _check_order(side: Any, op: str) -> None:
    if isinstance(side, Operand) and side._is_time():
        raise DefinitionError(
            f"{side._show()} is a time and cannot be compared by {op} in a condition",
            where=places.here(),
            why="guards read times as texts, whose order is not the order of time",
            fix="compare in a step that returns a bool, and use that",
        )


def _shown(value: Any) -> str:
    return value._show() if isinstance(value, Value) else shorten(value)
