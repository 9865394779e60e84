"""When a pipeline runs by itself, checked where it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from turnout.base.durations import seconds
from turnout.base.errors import ConfigError, DefinitionError, Location, did_you_mean
from turnout.model.spec import CRON_PRESETS, WEEKDAYS, Schedule
from turnout.model.times import format_datetime, has_zone, to_utc
from turnout.model.types import ParamType
from turnout.model.values import convert

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, WEEKDAYS),
)
_RANGE = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([0-9]+))?\Z", re.ASCII)
_EVERY = re.compile(r"(every )?(\d+[wdhms] ?)+\Z", re.ASCII)
_FIX = 'write schedule="@daily", "0 6 * * *", "every 2h", a timedelta, or a list of assets'


def schedule(written: Any, *, start: Any, catchup: Any, timezone: Any, where: Location) -> Schedule | None:
    """The schedule of a pipeline, or None for none.

    Args:
        written: a cron expression of five fields, a preset, ``every 2h`` or ``2h``, a ``timedelta``, or assets' names.
        start: the first logical time: a text, ``date`` or ``datetime``; without an offset it is meant in *timezone*.
        catchup: whether the runs missed since *start* are made up for.
        timezone: an IANA name.

    Raises:
        DefinitionError: for what is none of these.
    """
    if written is None:
        if start is not None or catchup:
            raise DefinitionError(
                "start and catchup need a schedule", where=where, why="without one nothing starts by itself", fix=_FIX
            )
        return None
    begin = None if start is None else _start(start, where)
    if not isinstance(catchup, bool):
        raise DefinitionError(f"catchup={catchup!r} is not a bool", where=where, fix="write catchup=True")
    if catchup and begin is None:
        raise DefinitionError("catchup needs a start", where=where, fix='say since when: start="2026-01-01"')
    _check_timezone(timezone, where)
    cron, every, assets = _kind(written, where)
    return Schedule(cron=cron, every=every, assets=assets, timezone=timezone, start=begin, catchup=catchup)


def anchored(schedule: Schedule | None) -> Schedule | None:
    """A schedule whose start is a moment: one without an offset is meant in the schedule's own time zone."""
    if schedule is None or schedule.start is None or has_zone(schedule.start):
        return schedule
    import zoneinfo

    moment = datetime.fromisoformat(schedule.start).replace(tzinfo=zoneinfo.ZoneInfo(schedule.timezone))
    return msgspec.structs.replace(schedule, start=to_utc(format_datetime(moment)))


def _kind(written: Any, where: Location) -> tuple[str | None, float | None, tuple[str, ...]]:
    if isinstance(written, timedelta):
        return None, seconds(written, "schedule", where), ()
    if isinstance(written, Sequence) and not isinstance(written, str) and written:
        if all(isinstance(asset, str) and asset for asset in written):
            return None, None, tuple(written)
    elif isinstance(written, str):
        text = " ".join(written.split())
        if _EVERY.match(text):
            return None, seconds(text.removeprefix("every "), "schedule", where), ()
        return _cron(text, where), None, ()
    raise DefinitionError(f"schedule={written!r} is not a schedule", where=where, fix=_FIX)


def _cron(text: str, where: Location) -> str:
    if text.startswith("@"):
        if text in CRON_PRESETS:
            return text
        raise DefinitionError(
            f"the schedule {text!r} is not known. {did_you_mean(text, CRON_PRESETS)}".rstrip(),
            where=where,
            fix=f"use one of {', '.join(CRON_PRESETS)}, or a cron expression",
        )
    fields = text.split(" ")
    if len(fields) != len(_FIELDS):
        raise DefinitionError(
            f"the schedule {text!r} has {len(fields)} fields, a cron expression has 5",
            where=where,
            why="they are minute, hour, day of the month, month, day of the week",
            fix=_FIX,
        )
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not all(_part(part.lower(), low, high, words) for part in field.split(",")):
            raise DefinitionError(
                f"the schedule {text!r} has {field!r} as its {name}",
                where=where,
                why=f"it is * or numbers from {low} to {high}, with - for a range, / for steps and , between several",
                fix=_FIX,
            )
    return text


def _part(part: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    found = _RANGE.match(part)
    if found is None:
        return False
    first, last, step = found.groups()
    if step is not None and not 1 <= int(step) <= high:
        return False
    if first == "*":
        return last is None
    numbers = [_number(word, low, words) for word in (first, last) if word is not None]
    return all(number is not None and low <= number <= high for number in numbers) and (
        len(numbers) == 1 or (numbers[0] or 0) <= (numbers[1] or 0)
    )


def _number(word: str, low: int, words: tuple[str, ...]) -> int | None:
    if word.isdigit():
        return int(word)
    return words.index(word) + low if word in words else None


def _start(start: Any, where: Location) -> str:
    if isinstance(start, date) and not isinstance(start, datetime):
        start = start.isoformat()
    try:
        moment = to_utc(convert(start, ParamType(kind="datetime"), "start"))
    except ConfigError as error:
        raise DefinitionError(error.what, where=where, why=error.why, fix=error.fix) from None
    if moment < "0002" or moment > "9999":  # in some time zone there is no such moment
        raise DefinitionError(f"start={start!r} is not a time that a schedule begins at", where=where)
    aware = start.tzinfo is not None if isinstance(start, datetime) else has_zone(start)
    return moment if aware else moment.removesuffix("Z")


def _check_timezone(timezone: Any, where: Location) -> None:
    if timezone == "UTC":
        return
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise DefinitionError(
            f"the time zone {timezone!r} is not known", where=where, fix='use an IANA name: timezone="Europe/Berlin"'
        ) from None
