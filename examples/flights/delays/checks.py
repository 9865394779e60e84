"""What the tables must look like before anything is learned from them."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

ZONE = "America/New_York"
"""The schedule is written in New York's time; we compute in UTC, where no hour is missing or comes twice."""

FASTEST_WIND = 250.0
"""In miles per hour: no station has ever measured more. A higher reading is a fault of the instrument."""


class DataError(ValueError):
    """A table is not what the pipeline was written for; the message lists everything that is wrong with it."""


class Column(NamedTuple):
    """What a column must hold: numbers from ``low`` to ``high``, or text where neither is given.

    ``missing`` is the largest share of values that may be null.
    """

    name: str
    low: float | None = None
    high: float | None = None
    missing: float = 0.0


FLIGHTS = (
    Column("year", 2013, 2013),
    Column("month", 1, 12),
    Column("day", 1, 31),
    Column("hour", 0, 23),
    Column("minute", 0, 59),
    Column("time_hour"),
    Column("carrier"),
    Column("flight", 1, 9999),
    Column("origin"),
    Column("dest"),
    Column("distance", 10, 6000),
    Column("dep_delay", -59, 1500, missing=0.1),  # null: cancelled; under -60 it would be its own feature
    Column("arr_delay", -120, 1500, missing=0.1),  # null: cancelled or diverted
)

WEATHER = (
    Column("origin"),
    Column("time_hour"),
    Column("temp", -40, 130, missing=0.1),
    Column("humid", 0, 100, missing=0.1),
    Column("wind_speed", 0, FASTEST_WIND, missing=0.1),
    Column("wind_gust", 0, FASTEST_WIND, missing=1.0),  # null: no gusts
    Column("precip", 0, 10, missing=0.1),
    Column("pressure", 900, 1100, missing=0.2),
    Column("visib", 0, 10, missing=0.1),
)


def check(table: pd.DataFrame, name: str, columns: tuple[Column, ...], key: list[str]) -> None:
    """Check a table's columns, and that no two rows have the same *key*.

    Raises:
        DataError: with every problem of the table, not only the first.
    """
    absent = [column.name for column in columns if column.name not in table]
    problems = [f"the column {column!r} is missing" for column in absent]
    if len(table) == 0:
        problems.append("it has no rows")
    elif not absent:
        for column in columns:
            problems += _problems(table[column.name], column)
        if twice := int(table.duplicated(key).sum()):
            problems.append(f"{twice} rows repeat the {', '.join(key)} of another row")
    if problems:
        raise DataError(_listed(name, problems))


def _listed(table: str, problems: list[str]) -> str:
    return "\n- ".join([f"the table of {table} is not as expected:", *problems])


def _problems(values: pd.Series, column: Column) -> list[str]:
    found = []
    if (share := float(values.isna().mean())) > column.missing:
        found.append(f"{column.name}: {share:.1%} of the values are missing, {column.missing:.0%} may be")
    if column.low is None or column.high is None:
        return found
    if not pd.api.types.is_numeric_dtype(values):
        return [*found, f"{column.name}: holds {values.dtype}, not numbers"]
    outside = values[values.notna() & ~values.between(column.low, column.high)]
    if len(outside):
        allowed = f"{column.low:g} to {column.high:g}"
        found.append(f"{column.name}: {len(outside)} values lie outside {allowed}, such as {outside.iloc[0]:g}")
    return found


def tidy_flights(flights: pd.DataFrame) -> pd.DataFrame:
    """Check the flights; return them in the order of their schedule, with its times in UTC.

    Adds ``scheduled`` (the departure as planned) and ``weekday`` (0 is Monday, in New York).

    Raises:
        DataError: when the table is not as expected.
    """
    check(flights, "flights", FLIGHTS, key=["year", "month", "day", "origin", "carrier", "flight"])
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    local = hour.dt.tz_convert(ZONE)
    wrong = (local.dt.month != flights["month"]) | (local.dt.day != flights["day"]) | (local.dt.hour != flights["hour"])
    if wrong.any():
        problem = f"time_hour: {wrong.sum()} values are not the day and hour of the schedule"
        raise DataError(_listed("flights", [problem]))
    flights = flights.assign(
        scheduled=hour + pd.to_timedelta(flights["minute"], unit="min"), weekday=local.dt.day_of_week.astype("int64")
    )
    columns = ["scheduled", "weekday", *(column.name for column in FLIGHTS if column.name != "time_hour")]
    return flights[columns].sort_values(["scheduled", "origin", "carrier", "flight"], ignore_index=True)


def tidy_weather(weather: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Check the weather; return it in the order in which it was known, and how many faulty readings were blanked.

    Adds ``known``, in UTC: a reading is stamped with the hour in which it was taken (mostly at nine minutes to
    the next), so it is only at the end of that hour that we can be sure to have it.

    Raises:
        DataError: when the table is not as expected.
    """
    faults = 0
    if "wind_speed" in weather:
        fault = weather["wind_speed"] > FASTEST_WIND
        faults = int(fault.sum())
        weather = weather.assign(wind_speed=weather["wind_speed"].mask(fault))
    check(weather, "weather", WEATHER, key=["origin", "time_hour"])
    weather = weather.assign(known=pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1))
    columns = ["known", *(column.name for column in WEATHER if column.name != "time_hour")]
    return weather[columns].sort_values(["known", "origin"], ignore_index=True), faults
