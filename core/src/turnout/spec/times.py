"""ISO 8601 times, dates and durations, read and written alike by every version of Python."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

_DATE = r"(\d{4})-(\d{2})-(\d{2})"
_TIME = r"(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_DATETIME = re.compile(rf"{_DATE}(?:[Tt ]{_TIME})?\s?([Zz]|[+-]\d{{2}}(?::?\d{{2}})?)?\Z", re.ASCII)
_DATE_ONLY = re.compile(rf"{_DATE}\Z", re.ASCII)
_NUMBER = r"(\d+(?:[.,]\d{1,6})?)"
_DURATION = re.compile(
    rf"([+-])?P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?\Z", re.ASCII
)


def parse_datetime(text: str) -> datetime:
    """An aware time in UTC; one without an offset is taken as UTC, a date alone as its midnight.

    Raises:
        ValueError: when it is not a time, or finer than a microsecond.
        OverflowError: when it lies outside the years 1 to 9999 in UTC.
    """
    found = _DATETIME.match(text.strip())
    if found is None:
        raise ValueError("it is not an ISO 8601 time")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    digits = (fraction or "").ljust(9, "0")
    if digits[6:].strip("0"):
        raise ValueError("it is finer than a microsecond")
    clock = (int(hour or 0), int(minute or 0), int(second or 0), int(digits[:6]))
    try:
        moment = datetime(int(year), int(month), int(day), *clock, tzinfo=_zone(offset))
    except ValueError:
        raise ValueError("there is no such day or time") from None
    return moment.astimezone(timezone.utc)


def has_zone(text: str) -> bool:
    """Whether an ISO 8601 time says its offset; False for a text that is none."""
    found = _DATETIME.match(text.strip())
    return found is not None and found.groups()[-1] is not None


def _zone(offset: str | None) -> timezone:
    if offset is None or offset in {"Z", "z"}:
        return timezone.utc
    digits = offset[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if offset[0] == "-" else span)


def format_datetime(moment: datetime) -> str:
    """The canonical text: in UTC, ``2026-01-31T06:00:00Z``, with six digits of a second only where they count.

    A naive time is taken as UTC.

    Raises:
        OverflowError: when it lies outside the years 1 to 9999 in UTC.
        ValueError: when it is not a moment (pandas' NaT), or finer than a microsecond.
    """
    if moment != moment:  # noqa: PLR0124 - NaT is a datetime that does not equal itself
        raise ValueError("it is no moment")
    if getattr(moment, "nanosecond", 0):
        raise ValueError("it is finer than a microsecond")
    plain = datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond,
        moment.tzinfo or timezone.utc, fold=moment.fold,
    )  # fmt: skip
    return plain.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_date(text: str) -> date:
    """A date written as ``2026-01-31``.

    Raises:
        ValueError: when it is not one.
    """
    found = _DATE_ONLY.match(text.strip())
    if found is None:
        raise ValueError("it is not an ISO 8601 date")
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        raise ValueError("there is no such day") from None


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration in weeks, days, hours, minutes and seconds, such as ``P1DT12H``.

    Raises:
        ValueError: when it is not one; years and months have no fixed length and are refused.
        OverflowError: when it is longer than Python can hold.
    """
    found = _DURATION.match(text.strip().upper())
    if found is None or not any(found.groups()[1:]):
        raise ValueError("it is not an ISO 8601 duration in weeks, days, hours, minutes and seconds")
    sign, *parts = found.groups()
    units = (604_800, 86_400, 3_600, 60, 1)
    micros = sum(_micros(part) * unit for part, unit in zip(parts, units, strict=True) if part)
    return timedelta(microseconds=-micros if sign == "-" else micros)


def _micros(part: str) -> int:
    whole, _, fraction = part.replace(",", ".").partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0") if fraction else 0)
