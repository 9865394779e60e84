"""ISO 8601 times, dates and durations, read and written alike by every version of Python."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo

_DATE = r"(\d{4})-(\d{2})-(\d{2})"
_TIME = r"(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_DATETIME = re.compile(rf"{_DATE}(?:[Tt ]{_TIME})?\s?([Zz]|[+-]\d{{2}}(?::?\d{{2}})?)?\Z", re.ASCII)
_IN_ZONE = re.compile(r"(.*?)([+-]\d{2}:\d{2}(?::\d{2}(?:\.\d{6})?)?)?\[([^\[\]]+)\](\[fold=1\])?\Z", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{6}))?)?\Z", re.ASCII)
_UNITS = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z", re.ASCII)
_FOLD = "[fold=1]"
NAIVE = "naive"
"""Stands in the brackets of a time that has no zone."""
_DATE_ONLY = re.compile(rf"{_DATE}\Z", re.ASCII)
_NUMBER = r"(\d+(?:[.,]\d{1,6})?)"
_DURATION = re.compile(
    rf"([+-])?P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?\Z", re.ASCII
)


def parse_datetime(text: str) -> datetime:
    """The time that a text says: in UTC, unless it names its zone in brackets as :func:`format_datetime` does.

    Without an offset it is taken as UTC, a date alone as its midnight.

    Raises:
        ValueError: when it is not a time, or finer than a microsecond, or its zone is unknown here.
        OverflowError: when it lies outside the years 1 to 9999 in UTC.
    """
    zone = _IN_ZONE.match(text.strip())
    if zone is not None:
        return _in_zone(*zone.groups())
    found = _DATETIME.match(text.strip())
    if found is None:
        raise ValueError("it is not an ISO 8601 time")
    return _wall(found).replace(tzinfo=_zone(found[8])).astimezone(timezone.utc)


def _wall(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second, fraction = found.groups()[:7]
    digits = (fraction or "").ljust(9, "0")
    if digits[6:].strip("0"):
        raise ValueError("it is finer than a microsecond")
    try:
        return datetime(  # noqa: DTZ001 - its zone is set by the caller
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), int(digits[:6])
        )
    except ValueError:
        raise ValueError("there is no such day or time") from None


def _in_zone(text: str, offset: str | None, name: str, folded: str | None) -> datetime:
    """The time of a text with its zone in brackets; an offset before that must be the zone's."""
    found = _DATETIME.match(text)
    if found is None or found[8] is not None:
        raise ValueError("it is not an ISO 8601 time")
    wall = _wall(found).replace(fold=1 if folded else 0)
    if name == NAIVE:
        return wall
    moment = wall.replace(tzinfo=_fixed(name) or named_zone(name))
    if offset in (None, _offset_text(moment)):
        return moment
    second = moment.replace(fold=1)
    if offset != _offset_text(second):
        raise ValueError(f"its offset is not that of {name} at this time")
    return second


def _fixed(name: str) -> timezone | None:
    found = _OFFSET.match(name)
    if found is None:
        return None
    sign, hours, minutes, seconds, fraction = found.groups()
    micros = int((fraction or "").ljust(6, "0"))
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0), microseconds=micros)
    return timezone(-span if sign == "-" else span)


def named_zone(name: str) -> tzinfo:
    """The zone of an IANA name.

    Raises:
        ValueError: when this machine has none of that name.
    """
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"this machine knows no time zone {name!r}; the package tzdata has all of them") from None


def has_zone(text: str) -> bool:
    """Whether an ISO 8601 time says its offset or zone; False for a text that is none."""
    if (zone := _IN_ZONE.match(text.strip())) is not None:
        return zone[3] != NAIVE
    found = _DATETIME.match(text.strip())
    return found is not None and found.groups()[-1] is not None


def _zone(offset: str | None) -> timezone:
    if offset is None or offset in {"Z", "z"}:
        return timezone.utc
    digits = offset[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if offset[0] == "-" else span)


def format_datetime(moment: datetime) -> str:
    """The canonical text, with six digits of a second only where they count.

    In UTC it is ``2026-01-31T06:00:00Z``. Another zone stands in brackets, by its offset or its IANA name:
    ``2026-01-31T07:00:00+01:00[Europe/Paris]``; a time without one is ``2026-01-31T06:00:00[naive]``. Where the clock
    is set back, ``[fold=1]`` marks the second of two times that look alike.

    Raises:
        OverflowError: when it lies outside the years 1 to 9999 in UTC.
        ValueError: when it is not a moment (pandas' NaT), finer than a microsecond, or its zone has no such name.
    """
    if moment != moment:  # noqa: PLR0124 - NaT is a datetime that does not equal itself
        raise ValueError("it is no moment")
    if getattr(moment, "nanosecond", 0):
        raise ValueError("it is finer than a microsecond")
    plain = datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond,
        moment.tzinfo, fold=moment.fold,
    )  # fmt: skip
    if plain.tzinfo is not None:
        plain.astimezone(timezone.utc)  # guards compare in UTC: it must exist there
    if plain.tzinfo == timezone.utc:
        return plain.isoformat().replace("+00:00", "Z")
    return f"{plain.isoformat()}[{_zone_name(plain)}]{_FOLD if plain.fold else ''}"


def _zone_name(moment: datetime) -> str:
    zone = moment.tzinfo
    if zone is None:
        return NAIVE
    if type(zone) is timezone and zone.tzname(None) == timezone(zone.utcoffset(None)).tzname(None):
        return _offset_text(moment)
    key = getattr(zone, "key", None)
    if type(zone).__module__.partition(".")[0] != "zoneinfo" or not key:
        raise ValueError('a time zone is kept by its IANA name: make it by zoneinfo.ZoneInfo("Europe/Paris")')
    return str(key)


def _offset_text(moment: datetime) -> str:
    return str(timezone(moment.utcoffset() or timedelta()))[3:] or "+00:00"


def to_utc(text: str) -> str:
    """A canonical text as the moment in UTC that it means; a naive time is taken as UTC."""
    if not text.endswith("]"):
        return text
    moment = parse_datetime(text)
    return format_datetime((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc))


def parse_date(text: str) -> date:
    """A date written as ``2026-01-31``.

    Raises:
        ValueError: when it is not one.
    """
    match = _DATE_ONLY.match(text.strip())
    if match is None:
        raise ValueError("it is not an ISO 8601 date")
    try:
        return date(*(int(part) for part in match.groups()))
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


def in_units(text: str) -> str:
    """The ISO 8601 duration of one written as ``1h30m``, as timeouts are; empty for any other text."""
    found = _UNITS.match("".join(text.split()))
    if found is None or not any(found.groups()):
        return ""
    weeks, days, *clock = found.groups()
    whole = int(weeks or 0) * 7 + int(days or 0)
    parts = "".join(f"{part}{unit}" for part, unit in zip(clock, "HMS", strict=True) if part)
    return "P" + (f"{whole}D" if whole else "") + (f"T{parts}" if parts else "")


def _micros(part: str) -> int:
    whole, _, fraction = part.replace(",", ".").partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0") if fraction else 0)
