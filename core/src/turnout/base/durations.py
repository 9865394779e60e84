"""Spans of time as a person writes them: ``"90s"``, ``"30m"``, ``"1h30m"``, ``"2d"``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

from turnout.base.errors import DefinitionError, Location

IN_UNITS = 'write it with units, {name}="1h30m" or "10s", as a number of seconds or as a timedelta'
_PATTERN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z", re.ASCII)
_UNITS = (604_800, 86_400, 3_600, 60, 1)


def seconds(value: Any, what: str, where: Location | None, *, zero: bool = False) -> float:
    """The seconds of a duration, as :func:`parse` reads it.

    Args:
        what: what is set, for the error: ``schedule``.

    Raises:
        DefinitionError: when it is none.
    """
    try:
        return parse(value, zero=zero)
    except ValueError as error:
        fix = IN_UNITS.format(name=what)
        raise DefinitionError(
            f"{what}={value!r} is not a span of time", where=where, why=str(error) or None, fix=fix
        ) from None


def parse(value: Any, *, zero: bool = False) -> float:
    """The seconds of a duration: a text, a number of seconds or a ``timedelta``.

    Args:
        zero: whether no time at all is allowed.

    Raises:
        ValueError: when it is none of these, or negative; its text says why where that is not plain.
    """
    span = _parse(value)
    if span == 0 and not zero:
        raise ValueError("it has to be longer than nothing")
    if span is None or not math.isfinite(span) or span < 0:
        raise ValueError
    return span


def text(span: float) -> str:
    """Seconds as a person writes them: ``1h30m``, ``30d``."""
    rest = int(span)
    if rest != span or rest <= 0:
        return f"{span:g}s"
    parts = []
    for unit, letter in zip(_UNITS[1:], "dhms", strict=True):
        count, rest = divmod(rest, unit)
        parts += [f"{count}{letter}"] if count else []
    return "".join(parts)


def _parse(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.strip() and (match := _PATTERN.match(value.replace(" ", ""))):
        return sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part)
    return None
