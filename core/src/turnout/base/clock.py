"""The time as records write it."""

from __future__ import annotations

from datetime import datetime, timezone

from turnout.base.errors import ArtifactError


def now() -> str:
    """The time in UTC, ISO 8601 with microseconds: ``2026-01-02T03:04:05.000006Z``."""
    return _text(datetime.now(timezone.utc))


def written(moment: datetime) -> str:
    """An aware datetime as records write it."""
    return _text(moment.astimezone(timezone.utc))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def seconds_between(start: str, end: str) -> float:
    """The seconds from one recorded time to another; 0 where a clock was set back in between, or one cannot be read."""
    try:
        return 0.0 if start == end else max(0.0, (parse(end) - parse(start)).total_seconds())
    except ArtifactError:
        return 0.0


def parse(text: str) -> datetime:
    """A recorded time, or another in ISO 8601, as an aware datetime: in UTC where it names no zone.

    Raises:
        ArtifactError: when it is none.
    """
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ArtifactError(
            f"{text[:60]!r} is no time of a record", why="it was changed after it was written"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
