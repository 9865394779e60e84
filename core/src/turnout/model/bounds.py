"""Constraints that a declared type puts on its values, checked on their canonical form."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from turnout.model import forms
from turnout.model.scalars import Misfit
from turnout.model.types import Bounds, Field, ParamType, ScalarKind

_NONE = Bounds()
_CLASSES: dict[ScalarKind, type[Any] | tuple[type[Any], ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str": str,
    "datetime": datetime,
    "date": date,
    "timedelta": timedelta,
    "list": (list, tuple),
    "dict": dict,
}
"""What a value of each kind is in Python; of other kinds it is anything."""


def check(value: Any, type_: ParamType) -> None:
    """Refuse a canonical value of the type's kind that its bounds exclude.

    Raises:
        Misfit: naming the bound.
    """
    bounds = type_.bounds
    if bounds == _NONE:
        return
    wrong = _of_number(value, bounds) if isinstance(value, (int, float)) else _of_length(value, bounds)
    if not wrong and isinstance(value, str) and bounds.pattern is not None and not re.search(bounds.pattern, value):
        wrong = f"match the pattern {bounds.pattern}"
    if wrong:
        raise Misfit(f"it must {wrong}, as its annotation says", fix="give a value that does")


def check_python(value: Any, type_: ParamType) -> None:
    """Refuse a Python value that its declared type, or that of a part of it, excludes by bounds or by declared keys.

    Raises:
        Misfit: naming what is demanded and where in the value it is not so.
    """
    if value is None or not type_.is_bounded:
        return
    value = _as_python(value)
    check(value, type_)
    if type_.fields:
        _check_fields(value, type_.fields)
    elif isinstance(value, (list, tuple)):
        for key, item, kind in _items(value, type_):
            _within(f"[{key!r}]", check_python, item, kind)
    elif isinstance(value, dict):
        for key, item in value.items() if type_.items else ():
            _within(f"[{key!r}]", check_python, item, type_.items[0])


def _check_fields(value: Any, fields: tuple[Field, ...]) -> None:
    """Hold a dict to its declared keys; it may have others, as a TypedDict may."""
    if not isinstance(value, dict):
        raise Misfit("it must be a dict, as its annotation says")
    for field in fields:
        if field.name in value:
            _within(f"[{field.name!r}]", _check_kind, value[field.name], field.type)
        elif field.required:
            raise Misfit(f"it has no {field.name!r}, which its annotation demands")


def _check_kind(value: Any, type_: ParamType) -> None:
    """Hold a value to the whole of its declared type."""
    value = _as_python(value)
    if value is None and type_.optional:
        return
    if not _is_of_kind(value, type_):
        cls = type(value)
        shown = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
        raise Misfit(
            f"it must be {type_}, as its annotation says, and is {'None' if value is None else f'of type {shown}'}"
        )
    if type_.choices and not type_.enum and value not in type_.choices:
        raise Misfit(f"it must be {type_}, as its annotation says")
    check_python(value, type_)
    if isinstance(value, (list, tuple)):
        if type_.sequence == "fixed" and len(value) != len(type_.items):
            raise Misfit(f"it must have {len(type_.items)} elements, as its annotation says")
        for key, item, kind in _items(value, type_):
            _within(f"[{key!r}]", _check_kind, item, kind)
    elif isinstance(value, dict) and type_.items:
        for key, item in value.items():
            _within(f"[{key!r}]", _check_kind, item, type_.items[0])


def _is_of_kind(value: Any, type_: ParamType) -> bool:
    if type_.enum:
        return f"{type(value).__module__}:{type(value).__qualname__}" == type_.enum
    if isinstance(value, bool):
        return type_.kind in ("bool", "json")
    return isinstance(value, _CLASSES.get(type_.kind, object))


def _items(value: list[Any] | tuple[Any, ...], type_: ParamType) -> Iterator[tuple[int, Any, ParamType]]:
    """The elements of a sequence with their declared types."""
    kinds = type_.items if type_.sequence == "fixed" else type_.items * len(value)
    for number, (item, kind) in enumerate(zip(value, kinds, strict=False)):
        yield number, item, kind


def _as_python(value: Any) -> Any:
    """A scalar of numpy as Python's own number or text; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _within(path: str, action: Callable[[Any, ParamType], None], value: Any, type_: ParamType) -> None:
    try:
        action(value, type_)
    except Misfit as misfit:
        misfit.path = path + misfit.path
        raise


def _of_number(value: float, bounds: Bounds) -> str:
    if bounds.gt is not None and not value > bounds.gt:
        return f"be greater than {bounds.gt}"
    if bounds.ge is not None and not value >= bounds.ge:
        return f"be {bounds.ge} or greater"
    if bounds.lt is not None and not value < bounds.lt:
        return f"be less than {bounds.lt}"
    if bounds.le is not None and not value <= bounds.le:
        return f"be {bounds.le} or less"
    if bounds.multiple_of is not None and not _is_multiple(value, bounds.multiple_of):
        return f"be a multiple of {bounds.multiple_of}"
    return ""


def _is_multiple(value: float, step: float) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    return math.isclose(value / step, round(value / step), rel_tol=1e-9, abs_tol=1e-9)


def _of_length(value: Any, bounds: Bounds) -> str:
    if bounds.min_length is None and bounds.max_length is None:
        return ""
    if isinstance(value, dict) and not forms.RESERVED.isdisjoint(value):
        elements = forms.tuple_in(value)
        value = forms.entries(value) if elements is None else elements
    if not isinstance(value, (str, list, tuple, dict)):
        return ""
    if bounds.min_length is not None and len(value) < bounds.min_length:
        return f"have a length of {bounds.min_length} or more"
    if bounds.max_length is not None and len(value) > bounds.max_length:
        return f"have a length of {bounds.max_length} or less"
    return ""
