"""Spans of time as a person writes them: ``"90s"``, ``"30m"``, ``"1h30m"``, ``"2d"``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

from turnout.base.errors import DefinitionError, Location

_PATTERN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z", re.ASCII)
_UNITS = (604_800, 86_400, 3_600, 60, 1)


def seconds(value: Any, what: str, where: Location | None, *, zero: bool = False) -> float:
    """The seconds of a duration: a text, a number of seconds or a ``timedelta``.

    Args:
        what: what is set, for the error: ``timeout``.
        zero: whether no time at all is allowed.

    Raises:
        DefinitionError: when it is none of these, or negative.
    """
    found = _parse(value)
    if found is None or not math.isfinite(found) or found < 0 or (found == 0 and not zero):
        raise DefinitionError(
            f"{what}={value!r} is not a span of time",
            where=where,
            why="it has to be longer than nothing" if found == 0 else None,
            fix=f'write it with units, {what}="1h30m" or "10s", as a number of seconds or as a timedelta',
        )
    return found


def _parse(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.strip() and (found := _PATTERN.match(value.replace(" ", ""))):
        return sum(float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part)
    return None
