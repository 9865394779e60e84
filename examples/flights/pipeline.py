"""Predict the arrival delay of a flight from New York, an hour before it is due to leave.

Run it:      turnout run pipeline.py
Deeper:      turnout run pipeline.py -p depth=8
In a hurry:  turnout run pipeline.py -p rows=20000
Serve it:    turnout deploy pipeline.py

Each `@step` is a plain Python function: call it in a notebook or a test and it just runs. The `@pipeline`
at the end wires them: there, calling a step runs nothing, it only records what needs what. What the steps
are made of lies beside this file, in `delays/`. The `@endpoint` serves one of them, with the model that a run made.
"""

from datetime import date
from typing import Annotated

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from delays import checks, features, model, report, tables
from turnout import endpoint, log_figure, log_metrics, pipeline, step, when

Departures = Annotated[pd.DataFrame, "departures"]  # a step with two outputs names them
Weather = Annotated[pd.DataFrame, "weather"]
Train = Annotated[pd.DataFrame, "train"]
Test = Annotated[pd.DataFrame, "test"]


# --- The data -------------------------------------------------------------------------------------------------


@step(cache=True)  # reads no input that could change, only an installed package, whose version is locked
def load(*, rows: int = 0) -> tuple[Departures, Weather]:
    """Read a year of flights and hourly weather; `rows` takes that many flights, spread over the year."""
    return tables.sample(tables.read("flights.csv.zip"), rows), tables.read("weather.csv")


@step
def validate(departures: pd.DataFrame, weather: pd.DataFrame) -> tuple[Departures, Weather]:
    """Refuse tables that are not as expected, and bring the good ones into order."""
    tidy_departures = checks.tidy_flights(departures)
    tidy_weather, faults = checks.tidy_weather(weather)
    log_metrics(
        {
            "departures": len(tidy_departures),
            "cancelled": int(tidy_departures["dep_delay"].isna().sum()),
            "weather_reports": len(tidy_weather),
            "weather_faults": faults,
        }
    )
    return tidy_departures, tidy_weather


# --- The features: only what is known an hour before departure --------------------------------------------------


@step
def add_weather(departures: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Add the last weather known at the airport by then."""
    return features.add_weather(departures, weather)


@step
def add_traffic(departures: pd.DataFrame) -> pd.DataFrame:
    """Add the delays of the flights that had left the airport by then, and how many were still waiting."""
    return features.add_traffic(departures)


# --- The model ---------------------------------------------------------------------------------------------------


@step
def split(departures: pd.DataFrame, *, test_from: date) -> tuple[Train, Test]:
    """Learn from the past, test on the future. Flights that never arrived have no delay to learn from."""
    arrived = departures[departures[model.TARGET].notna()]
    past = arrived["scheduled"] < pd.Timestamp(test_from, tz=checks.ZONE)
    return arrived[past].reset_index(drop=True), arrived[~past].reset_index(drop=True)


@step
def fit_baseline(train: pd.DataFrame) -> pd.DataFrame:
    """What a good guess would be without a model: the mean delay of the carrier at that hour."""
    return model.fit_baseline(train)


@step
def fit(train: pd.DataFrame, *, depth: int, iterations: int, seed: int) -> HistGradientBoostingRegressor:
    """Fit the model."""
    return model.fit(train, depth, iterations, seed)


@step
def predict(trained: HistGradientBoostingRegressor, departures: pd.DataFrame) -> np.ndarray:
    """How many minutes late each flight will arrive; the pipeline asks it of the test, the endpoint of what comes."""
    return model.predict(trained, departures)


@step
def evaluate(predicted: np.ndarray, baseline: pd.DataFrame, test: pd.DataFrame, *, test_from: date) -> dict:
    """Measure model and baseline on flights that neither has seen."""
    truth = test[model.TARGET]
    ours, guess = report.score(truth, predicted), report.score(truth, model.predict_baseline(baseline, test))
    metrics = {**ours, "baseline_mae": guess["mae"], "baseline_r2": guess["r2"], "tested": len(test)}
    log_metrics(metrics)
    log_figure("calibration", report.calibration(truth, predicted))
    return {**metrics, "test_from": test_from.isoformat()}


@step
def publish(trained: HistGradientBoostingRegressor, quality: dict) -> Annotated[str, "card"]:
    """Write the model card. Runs only where the model has earned it: see `when` below."""
    settings = {"depth": trained.max_depth, "iterations": trained.max_iter, "seed": trained.random_state}
    return report.card(quality, settings, [*model.CATEGORIES, *model.NUMBERS])


# --- A closer look: each month of the test by itself -------------------------------------------------------------


@step
def months(test: pd.DataFrame) -> list[pd.DataFrame]:
    """Cut the test flights into months: a list, so that the next step can run once for each."""
    return [month.reset_index(drop=True) for _, month in test.groupby(report.month_of(test))]


@step
def score_month(departures: pd.DataFrame, *, trained: HistGradientBoostingRegressor, baseline: pd.DataFrame) -> dict:
    """Measure model and baseline on one month."""
    truth = departures[model.TARGET]
    ours = report.score(truth, model.predict(trained, departures))
    guess = report.score(truth, model.predict_baseline(baseline, departures))
    month = report.month_of(departures).iloc[0]
    return {"month": month, "departures": len(departures), "mae": ours["mae"], "baseline_mae": guess["mae"]}


@step
def merge(scores: list[dict]) -> pd.DataFrame:
    """Put the months back together in one table."""
    return pd.DataFrame(scores)


# --- The pipeline ------------------------------------------------------------------------------------------------


@pipeline
def flights(
    depth: int = 6,
    iterations: int = 150,
    seed: int = 7,
    rows: int = 0,
    test_from: date = date(2013, 10, 1),
    threshold: float = 0.1,
):
    """Predict the arrival delay of a flight from New York, an hour before it is due to leave.

    Args:
        depth: how deep each tree of the model may grow.
        iterations: how many trees there are.
        seed: what the model's random choices start from.
        rows: how many flights to use; 0 takes all 336,776.
        test_from: the first day to test on; the days before it are learned from.
        threshold: the R² on the test that a model needs to be published.
    """
    raw = load(rows=rows)
    planned, weather = validate(raw.departures, raw.weather)
    known = add_traffic(add_weather(planned, weather))
    train, test = split(known, test_from=test_from)

    baseline = fit_baseline(train)
    trained = fit(train, depth=depth, iterations=iterations, seed=seed)
    quality = evaluate(predict(trained, test), baseline, test, test_from=test_from)
    with when((quality["mae"] < quality["baseline_mae"]) & (quality["r2"] > threshold)):  # decided while it runs
        publish(trained, quality)

    scores = score_month.map(months(test), trained=trained, baseline=baseline)  # one task a month
    merge(scores)


# --- The endpoint ------------------------------------------------------------------------------------------------


@endpoint(flights, like={"rows": "split.test"}, columns={"rows": [*model.CATEGORIES, *model.NUMBERS]})
def delay(rows: pd.DataFrame):
    """How many minutes late each flight will arrive, given what is known an hour before it leaves."""
    return predict(flights["fit"], rows)
