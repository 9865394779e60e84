"""Constraints that a declared type puts on its values, checked on their canonical form."""

from __future__ import annotations

import math
import re
from typing import Any

from turnout.model import forms
from turnout.model.scalars import Misfit
from turnout.model.types import Bounds, ParamType

_NONE = Bounds()


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
    """Refuse a Python value that the bounds of its declared type, or of a part of that, exclude.

    Raises:
        Misfit: naming the bound and where in the value it is broken.
    """
    if value is None or not type_.is_bounded:
        return
    if getattr(value, "shape", None) == ():
        value = value.item()
    check(value, type_)
    if isinstance(value, (list, tuple)) and type_.items:
        kinds = type_.items if type_.sequence == "fixed" else type_.items * len(value)
        for number, (item, kind) in enumerate(zip(value, kinds, strict=False)):
            _check_inside(item, kind, f"[{number}]")
    elif isinstance(value, dict):
        by_name = {field.name: field.type for field in type_.fields}
        for key, item in value.items():
            if (inner := by_name.get(key) or next(iter(type_.items), None)) is not None:
                _check_inside(item, inner, f"[{key!r}]")


def _check_inside(value: Any, type_: ParamType, path: str) -> None:
    try:
        check_python(value, type_)
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
