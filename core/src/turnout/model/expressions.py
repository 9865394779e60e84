"""The closed language of guards: comparisons, and/or/not, membership and indexing over JSON values.

An expression is data. It is evaluated by :func:`evaluate` on a worker, against the JSON values of the
gate's inputs; nothing of it is ever handed to an interpreter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from turnout.base.errors import RunError

CompareOp = Literal["==", "!=", "<", "<=", ">", ">="]


class Ref(msgspec.Struct, frozen=True, tag="ref", forbid_unknown_fields=True):
    """The value of one of the gate's inputs."""

    input: str


class Const(msgspec.Struct, frozen=True, tag="const", forbid_unknown_fields=True):
    """A JSON value written in the definition."""

    value: Any


class Index(msgspec.Struct, frozen=True, tag="index", forbid_unknown_fields=True):
    """``base[key]`` with a literal key: a string for an object, an int for a list."""

    base: Expression
    key: str | int


class Compare(msgspec.Struct, frozen=True, tag="compare", forbid_unknown_fields=True):
    """A comparison. Order needs two numbers or two strings; NaN and null have no order."""

    op: CompareOp
    left: Expression
    right: Expression


class Contains(msgspec.Struct, frozen=True, tag="contains", forbid_unknown_fields=True):
    """Whether *item* is an element of the list, a key of the object or a part of the string *container*."""

    item: Expression
    container: Expression


class Not(msgspec.Struct, frozen=True, tag="not", forbid_unknown_fields=True):
    """The negation of a bool."""

    operand: Expression


class And(msgspec.Struct, frozen=True, tag="and", forbid_unknown_fields=True):
    """Whether both are true. Both sides are always evaluated: no short-circuit."""

    left: Expression
    right: Expression


class Or(msgspec.Struct, frozen=True, tag="or", forbid_unknown_fields=True):
    """Whether one is true. Both sides are always evaluated: no short-circuit."""

    left: Expression
    right: Expression


Expression = Ref | Const | Index | Compare | Contains | Not | And | Or


def evaluate(expression: Expression, values: Mapping[str, Any]) -> bool:
    """Evaluate a guard.

    Args:
        values: the JSON value of each input the expression refers to.

    Raises:
        RunError: when it cannot be decided: a missing key, null or NaN in a comparison of order, a result
            that is not a bool. The step that guards by it fails; nothing is guessed.
    """
    result = _value(expression, values)
    if not isinstance(result, bool):
        raise RunError(
            f"the guard {render(expression)} gave {_show(result)}, not a bool",
            fix="compare the value, for example with == True or > 0",
        )
    return result


def _value(node: Expression, values: Mapping[str, Any]) -> Any:
    match node:
        case Ref(input=name):
            return values[name]
        case Const(value=value):
            return value
        case Index(base=base, key=key):
            return _index(_value(base, values), key, node)
        case Compare(op=op, left=left, right=right):
            return _compare(op, _value(left, values), _value(right, values), node)
        case Contains(item=item, container=container):
            return _contains(_value(item, values), _value(container, values), node)
        case Not(operand=operand):
            return not _bool(_value(operand, values), node)
        case And(left=left, right=right):
            sides = _bool(_value(left, values), node), _bool(_value(right, values), node)
            return all(sides)
        case Or(left=left, right=right):
            sides = _bool(_value(left, values), node), _bool(_value(right, values), node)
            return any(sides)


def _index(base: Any, key: str | int, node: Expression) -> Any:
    try:
        if isinstance(base, dict) and isinstance(key, str):
            return base[key]
        if isinstance(base, list) and isinstance(key, int):
            return base[key]
    except (KeyError, IndexError):
        has = f"its keys are {sorted(base)[:8]}" if isinstance(base, dict) else f"it has {len(base)} elements"
        raise RunError(f"the guard {render(node)} cannot be evaluated: no {key!r} there", why=has) from None
    raise RunError(f"the guard {render(node)} cannot be evaluated: {_show(base)} cannot be indexed by {key!r}")


def _compare(op: CompareOp, left: Any, right: Any, node: Expression) -> bool:
    for side in (left, right):
        if isinstance(side, float) and math.isnan(side):
            raise RunError(f"the guard {render(node)} cannot be evaluated: one side is NaN")
    if op == "==":
        return _same(left, right)
    if op == "!=":
        return not _same(left, right)
    numbers = all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in (left, right))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise RunError(
            f"the guard {render(node)} cannot be evaluated: {_show(left)} and {_show(right)} have no order",
            fix="compare two numbers or two strings",
        )
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op])


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) is not isinstance(right, bool):
        return False  # JSON keeps true and 1 apart
    return bool(left == right)


def _contains(item: Any, container: Any, node: Expression) -> bool:
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, dict) and isinstance(item, str):
        return item in container
    if isinstance(container, list):
        return any(_same(item, other) for other in container)
    raise RunError(f"the guard {render(node)} cannot be evaluated: {_show(container)} holds no {_show(item)}")


def _bool(value: Any, node: Expression) -> bool:
    if not isinstance(value, bool):
        raise RunError(f"the guard {render(node)} cannot be evaluated: {_show(value)} is not a bool")
    return value


def _show(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def inputs_of(node: Expression) -> set[str]:
    """The names of the inputs that an expression reads."""
    if isinstance(node, Ref):
        return {node.input}
    parts = (getattr(node, name) for name in node.__struct_fields__)
    return {name for part in parts if isinstance(part, Expression) for name in inputs_of(part)}


def render(node: Expression) -> str:
    """The expression as a person would write it."""
    match node:
        case Ref(input=name):
            return name
        case Const(value=value):
            return _show(value)
        case Index(base=base, key=key):
            return f"{render(base)}[{key!r}]"
        case Compare(op=op, left=left, right=right):
            return f"{render(left)} {op} {render(right)}"
        case Contains(item=item, container=container):
            return f"{render(item)} in {render(container)}"
        case Not(operand=operand):
            return f"not ({render(operand)})"
        case And(left=left, right=right):
            return f"({render(left)}) and ({render(right)})"
        case Or(left=left, right=right):
            return f"({render(left)}) or ({render(right)})"
