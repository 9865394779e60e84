"""The model, and the simple guess it has to beat."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from delays import features

TARGET = "arr_delay"
CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = ("hour", "minute", "weekday", "distance", *features.WEATHER, *features.TRAFFIC)
BASELINE = ["carrier", "hour"]


def columns(flights: pd.DataFrame) -> pd.DataFrame:
    """The columns the model reads. Neither delay of the flight itself is among them."""
    return flights[[*CATEGORIES, *NUMBERS]].astype(dict.fromkeys(CATEGORIES, "category"))


def fit(train: pd.DataFrame, depth: int, iterations: int, seed: int) -> HistGradientBoostingRegressor:
    """Fit gradient boosted trees, each split choosing among half of the columns, drawn by *seed*."""
    model = HistGradientBoostingRegressor(
        max_depth=depth,
        max_iter=iterations,
        max_features=0.5,
        early_stopping=False,
        categorical_features="from_dtype",
        random_state=seed,
    )
    return model.fit(columns(train), train[TARGET])


def predict(model: HistGradientBoostingRegressor, flights: pd.DataFrame) -> np.ndarray:
    """The arrival delay of each flight, in minutes; negative is early."""
    return model.predict(columns(flights))


def fit_baseline(train: pd.DataFrame) -> pd.DataFrame:
    """The mean arrival delay of each carrier in each hour of the day, and of how many flights."""
    groups = train.groupby(BASELINE)[TARGET]
    return groups.agg(mean="mean", flights="count").reset_index()


def predict_baseline(baseline: pd.DataFrame, flights: pd.DataFrame) -> np.ndarray:
    """The guess for each flight: the mean of its carrier and hour, or of all flights where there was none."""
    overall = np.average(baseline["mean"], weights=baseline["flights"])
    found = flights[BASELINE].merge(baseline, on=BASELINE, how="left", validate="many_to_one")
    return found["mean"].fillna(overall).to_numpy()
