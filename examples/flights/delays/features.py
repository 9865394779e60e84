"""What is known of a flight an hour before it is due to leave, and nothing that is known only later.

This is where a model of delays goes wrong most easily. How late a flight leaves is almost all of how late
it arrives, but nobody knows it before it has left. So every feature here is taken *as of* the moment
``scheduled - LEAD``: the last weather that was known by then, and the delays of the flights that
had left by then. Flights leave up to 43 minutes early, so with an hour's lead none ever sees its own delay.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

LEAD = pd.Timedelta(hours=1)
"""How long before the scheduled departure we predict."""

WEATHER = ("temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
STALE = pd.Timedelta(hours=3)
"""An older reading says nothing about now."""

WINDOWS = (2, 24)
"""The hours over which an airport's delays are averaged."""
GIVEN_UP = 240
"""The minutes after which a flight that has not left no longer counts as waiting."""
TRAFFIC = (*(f"delay_{hours}h" for hours in WINDOWS), "waiting")


def add_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Add to each flight the last weather known at its airport by the time of the prediction.

    Args:
        flights: sorted by ``scheduled``.
        weather: sorted by ``known``.
    """
    joined = pd.merge_asof(
        flights.assign(asked=flights["scheduled"] - LEAD),
        weather[["origin", "known", *WEATHER]],
        left_on="asked",
        right_on="known",
        by="origin",
        direction="backward",
        tolerance=STALE,
    )
    return joined.drop(columns=["asked", "known"])


def add_traffic(flights: pd.DataFrame) -> pd.DataFrame:
    """Add what the airport looked like at the time of the prediction.

    ``delay_2h`` and ``delay_24h`` are the mean departure delays, in minutes, of the flights that left in the
    hours before (null if none did); ``waiting`` is how many were due to leave but had not.
    """
    airports = [_traffic(airport) for _, airport in flights.groupby("origin")]
    return flights.join(pd.concat(airports))


def _traffic(flights: pd.DataFrame) -> pd.DataFrame:
    """The traffic features of the flights of one airport.

    Whole minutes and running sums of them: exact, so the result cannot depend on the order of addition.
    """
    scheduled = _minutes(flights["scheduled"])
    asked = scheduled - LEAD // pd.Timedelta(minutes=1)
    cancelled = flights["dep_delay"].isna().to_numpy()
    delay = flights["dep_delay"].fillna(0).to_numpy().astype(np.int64)

    order = np.argsort((scheduled + delay)[~cancelled], kind="stable")
    left = (scheduled + delay)[~cancelled][order]
    running = np.concatenate([[0], np.cumsum(delay[~cancelled][order])])
    features = {}
    for hours in WINDOWS:
        first, last = np.searchsorted(left, [asked - 60 * hours, asked], side="right")
        total, count = running[last] - running[first], last - first
        features[f"delay_{hours}h"] = np.where(count > 0, total / np.maximum(count, 1), np.nan)

    gone = scheduled + np.where(cancelled, GIVEN_UP, delay.clip(0, GIVEN_UP))
    due, departed = (np.searchsorted(np.sort(times), asked, side="right") for times in (scheduled, gone))
    return pd.DataFrame({**features, "waiting": due - departed}, index=flights.index)


def _minutes(times: pd.Series) -> np.ndarray:
    return ((times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(minutes=1)).to_numpy().astype(np.int64)
