"""The canonical form of single values: numbers, texts, times. Each refuses what it would have to round or guess."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from typing import Any

from turnout.base.canonical import DIGITS
from turnout.model import times
from turnout.model.types import ParamType

_INT = re.compile(r"[+-]?[0-9]+(\.0*)?\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_EXACT = 2**53


class Misfit(Exception):
    """A value that its type refuses: why, where that is not plain, and how it is shown, where not in clear.

    For an element of a list or object, ``path`` says which one, ``type`` what it is to be. ``fix`` is what to do,
    where an example of the type does not say it.
    """

    def __init__(self, why: str = "", *, shown: str | None = None, fix: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.shown = shown
        self.path = ""
        self.type: ParamType | None = None


class Typed(str):
    """A text that a person typed for a parameter: ``null`` is None where the type allows that, ``"null"`` the text."""

    __slots__ = ()


def to_int(value: Any) -> int:
    """A whole number: an int, a float without a fraction, or a text of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() > DIGITS:
            raise Misfit("it has more digits than JSON is read with")
        return int(value)
    if isinstance(value, float) and value.is_integer():
        if abs(value) > _EXACT:
            raise Misfit("a float of this size has lost its last digits; a text keeps them")
        return int(value)
    if isinstance(value, str) and _INT.match(stripped := value.strip()):
        try:
            return to_int(int(stripped.split(".")[0]))
        except ValueError:
            raise Misfit("it has too many digits") from None
    raise Misfit


def to_float(value: Any) -> float:
    """A finite number, also from an int or a text."""
    if isinstance(value, str) and _FLOAT.match(value.strip()):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise Misfit("it is too large for a float") from None
        if math.isfinite(number):
            return number
        raise Misfit("JSON holds no NaN and no infinity")
    raise Misfit


def to_bool(value: Any) -> bool:
    """A bool, or the text ``true`` or ``false`` in any case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise Misfit("0 and 1 are numbers" if isinstance(value, (int, float)) and value in {0, 1} else "")


def to_str(value: Any) -> str:
    """A text that UTF-8 can write."""
    if not isinstance(value, str):
        raise Misfit
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Misfit("it holds half a character (a lone surrogate), which UTF-8 cannot write") from None
    return str(value)


def to_datetime(value: Any) -> str:
    """The canonical text of a time; see :func:`turnout.model.times.format_datetime`."""
    try:
        if isinstance(value, str):
            value = times.parse_datetime(value)
        if isinstance(value, datetime):
            return times.format_datetime(value)
    except OverflowError:
        raise Misfit("it lies outside the years 1 to 9999 in UTC") from None
    except ValueError as error:
        raise Misfit(str(error)) from None
    raise Misfit


def to_date(value: Any) -> str:
    """A day as ``2026-01-31``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return date.isoformat(value)
    if isinstance(value, str):
        try:
            return times.parse_date(value).isoformat()
        except ValueError as error:
            raise Misfit(str(error)) from None
    raise Misfit("a time of day would be lost" if isinstance(value, datetime) else "")


def to_timedelta(value: Any) -> int | float:
    """The seconds of a span of time: an int where they are whole."""
    if isinstance(value, str):
        if _FLOAT.match(value.strip()):
            value = float(value) if any(mark in value for mark in ".eE") else to_int(value)
        else:
            try:
                value = times.parse_duration(value)
            except (ValueError, OverflowError) as error:
                written = times.in_units(value)
                raise Misfit(str(error), fix=f"write {written}, or the seconds" if written else None) from None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (ValueError, OverflowError):
            raise Misfit("it is not a finite span of time that Python can hold") from None
    if isinstance(value, timedelta):
        micros = value // timedelta(microseconds=1)
        if micros % 1_000_000 == 0:
            return micros // 1_000_000
        seconds = micros / 1_000_000
        if timedelta(seconds=seconds) != value:
            raise Misfit("seconds of this size cannot keep the microseconds")
        return seconds
    raise Misfit
