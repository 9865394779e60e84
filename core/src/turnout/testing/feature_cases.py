"""The feature views that a feature store is tried on, and the table of cases: what each look-up must give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple


class View(NamedTuple):
    """A feature view to load: its name, its key columns, the time's column, and all columns by name.

    ``created`` is the column that says when a row was written, ``ttl`` for how long one holds. Columns hold Python
    values: texts, ``int`` for 64 bits, ``float``, times in UTC; the rows are in no order of time.
    """

    name: str
    keys: tuple[str, ...]
    timestamp: str
    columns: Mapping[str, Sequence[Any]]
    created: str = ""
    ttl: timedelta | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are features."""
        return tuple(name for name in self.columns if name not in (*self.keys, self.timestamp, self.created))


def at(hour: float, day: int = 1) -> datetime:
    """A time in the days that the views cover."""
    return datetime(2026, 1, day, tzinfo=timezone.utc) + timedelta(hours=hour)


VIEWS = (
    View(
        "weather",
        ("airport",),
        "since",
        {
            # not in the order of time, as files are in life
            "airport": ["JFK", "LGA", "JFK", "JFK", "LGA", "EWR"],
            "since": [at(6), at(7), at(12), at(0), at(19), at(23)],
            "wind": [6.0, 7.5, 12.0, 0.5, 19.0, 23.0],
            "sky": ["rain", "fog", "clear", "snow", "hail", "dust"],
        },
    ),
    View("traffic", ("airport",), "hour", {"airport": ["JFK", "JFK"], "hour": [at(5), at(11)], "planes": [50, 110]}),
    View("ties", ("code",), "since", {"code": ["a", "a", "a"], "since": [at(6)] * 3, "tied": [1, 3, 2]}),
    View(
        "corrected",
        ("code",),
        "since",
        {
            # at 6 o'clock the 1 was written last, though it lies first; the 3 of 12 o'clock was written at 20
            "code": ["a", "a", "a", "a"],
            "since": [at(6), at(6), at(12), at(12)],
            "written": [at(9), at(7), at(12), at(20)],
            "value": [1, 9, 2, 3],
        },
        created="written",
    ),
    View(
        "fading",
        ("code",),
        "since",
        {"code": ["a", "a"], "since": [at(6), at(12)], "fresh": [1, 2]},
        ttl=timedelta(hours=2),
    ),
    View("gaps", ("code",), "since", {"code": ["a", "a"], "since": [at(6), at(12)], "level": [1.5, None]}),
    View("counted", ("number",), "since", {"number": [7, 8], "since": [at(6), at(6)], "count": [70, 80]}),
    View(
        "routes",
        ("start", "number"),
        "since",
        {"start": ["a", "a", "b"], "number": [1, 2, 1], "since": [at(6)] * 3, "length": [11, 12, 21]},
    ),
)
"""The views that the fixture ``feature_store`` must hold."""


class Case(NamedTuple):
    """A retrieval with what must come out of it, in the order of its rows.

    ``online`` is the time up to which the view is materialized first; None for a historical retrieval.
    """

    feature: str
    columns: Mapping[str, Sequence[Any]]
    expected: Sequence[Any]
    keys: Mapping[str, str] = {}
    known_at: bool = False
    online: datetime | None = None


DAY = at(0, day=2)
CASES = {
    "before_at_after": Case(
        "weather:wind",
        {"airport": ["LGA"] * 3, "time": [at(7) - timedelta(microseconds=1), at(7), at(8)]},
        [None, 7.5, 7.5],
    ),
    "tie": Case("corrected:value", {"code": ["a", "a"], "time": [at(6), at(11)]}, [1, 1]),
    "created_later": Case("corrected:value", {"code": ["a", "a"], "time": [at(12), at(21)]}, [3, 3]),
    "known_at": Case(
        "corrected:value",
        {"code": ["a"] * 6, "time": [at(6), at(7), at(9), at(12), at(19), at(20)]},
        [None, 9, 1, 2, 2, 3],
        known_at=True,
    ),
    "ttl": Case(
        "fading:fresh",
        {"code": ["a"] * 4, "time": [at(13), at(14), at(14) + timedelta(seconds=1), at(9)]},
        [2, 2, None, None],
    ),
    "newest_null": Case("gaps:level", {"code": ["a", "a"], "time": [at(11), at(13)]}, [1.5, None]),
    "null_key": Case("weather:wind", {"airport": ["JFK", None], "time": [at(13), at(13)]}, [12.0, None]),
    "unknown_key": Case("counted:count", {"number": [7, 9], "time": [at(7), at(7)]}, [70, None]),
    "whole_floats": Case("counted:count", {"number": [7.0, None, 8.0, 7.5], "time": [at(7)] * 4}, [70, None, 80, None]),
    "null_time": Case("weather:wind", {"airport": ["JFK", "JFK"], "time": [None, at(13)]}, [None, 12.0]),
    "naive_time": Case(
        "weather:wind",
        {"airport": ["JFK", "JFK"], "time": [at(12).replace(tzinfo=None), at(11.5).replace(tzinfo=None)]},
        [12.0, 6.0],
    ),
    "two_keys": Case(
        "routes:length",
        {"start": ["b", "a", "a", "b"], "leg": [1, 2, 1, 2], "time": [at(7)] * 4},
        [21, 12, 11, None],
        keys={"number": "leg"},
    ),
    "repeated_rows": Case("weather:wind", {"airport": ["JFK"] * 3, "time": [at(8)] * 3}, [6.0, 6.0, 6.0]),
    "online": Case("weather:wind", {"airport": ["LGA", "JFK", "XYZ", "JFK"]}, [7.5, 6.0, None, 6.0], online=at(11)),
    "online_tie": Case("corrected:value", {"code": ["a"]}, [1], online=at(11)),
    "ttl_online": Case("fading:fresh", {"code": ["a"]}, [None], online=DAY),
    "newest_null_online": Case("gaps:level", {"code": ["a"]}, [None], online=DAY),
    "null_key_online": Case("weather:wind", {"airport": [None, "JFK"]}, [None, 12.0], online=DAY),
    "all_keys_null_online": Case("counted:count", {"number": [None]}, [None], online=DAY),
    "whole_floats_online": Case("counted:count", {"number": [8.0, None, 7.0]}, [80, None, 70], online=DAY),
    "two_keys_online": Case(
        "routes:length",
        {"start": ["b", "a", "b"], "leg": [1, 1, 2]},
        [21, 11, None],
        keys={"number": "leg"},
        online=DAY,
    ),
    "before_the_first_row_online": Case("weather:wind", {"airport": ["JFK"]}, [None], online=at(-1)),
}
"""The table of cases: each is the test ``test_a_case[NAME]``."""
