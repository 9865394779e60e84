"""What clients of one version of an endpoint send, and the next would refuse."""

from __future__ import annotations

import re
from typing import Any

from turnout.model.endpoint_plan import Column, EndpointPlan, Request
from turnout.serving.tables import categories

_WHOLE = re.compile(r"(u?)int(\d+)\Z", re.ASCII)


def narrowed(before: EndpointPlan, after: EndpointPlan) -> list[str]:
    """What the schema of *after* refuses that the schema of *before* takes, a phrase for each."""
    found: list[str] = []
    then = {request.name: request for request in before.requests}
    for request in after.requests:
        earlier = then.pop(request.name, None)
        if earlier is None:
            if request.required:
                found.append(f"{request.name} has to be given")
        else:
            found += _request(earlier, request)
    return [*found, *(f"{name} is not taken any more" for name in then)]


def _request(before: Request, after: Request) -> list[str]:
    if before.value is not None or after.value is not None:
        found = [] if before.value == after.value else [f"{after.name} has another type"]
        return found + ([f"{after.name} has to be given"] if after.required and not before.required else [])
    if after.columns is None:
        return []
    if before.columns is None:
        return [f"{after.name} takes certain columns only"]
    then = {column.name: column for column in before.columns}
    found, known, left = [], categories(before), categories(after)
    for column in after.columns:
        name, earlier = f"{after.name}.{column.name}", then.pop(column.name, None)
        if earlier is None:
            found.append(f"{name} has to be given")
        elif not _is_wider(earlier.type, column.type):
            found.append(f"{name} takes {_type(column)}, not {_type(earlier)}")
        elif column.name in left and (lost := _lost(known.get(column.name), left[column.name])):
            found.append(f"{name} does not take {lost}")
        elif earlier.nullable and not column.nullable:
            found.append(f"{name} takes no null")
    return [*found, *(f"{after.name}.{name} is not taken any more" for name in then)]


def _is_wider(before: str, after: str) -> bool:
    """Whether a column of the Arrow type *after* takes every value of *before*, as JSON gives them."""
    if before == after or (before.startswith("dictionary<") and after.startswith("dictionary<")):
        return True
    one, other = _WHOLE.match(before), _WHOLE.match(after)
    if one and other:
        return other[1] <= one[1] and int(other[2]) - (not other[1]) >= int(one[2]) - (not one[1])
    if one or before in {"halffloat", "float"}:
        return after == "double"
    return before in _TEXTS and after in _TEXTS


_TEXTS = ("string", "large_string", "string_view")


def _lost(before: list[Any] | None, after: list[Any]) -> str:
    if before is None:
        return "any text, but categories only"
    lost = [repr(value) for value in before if value not in after]
    return ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")


def _type(column: Column) -> str:
    return "categories" if column.type.startswith("dictionary<") else column.type
