"""The same model, with the weather from a feature store: what training joins, an endpoint looks up.

    python -m delays.views                                     # writes the view's file
    turnout run from_store.py --stack features                 # joins, fits, and brings the view online
    turnout features describe --stack features
    turnout deploy from_store.py --stack features              # asks for no weather: it looks it up

The table that is learned from is that of `pipeline.py`, and so is the model.
"""

from datetime import date, datetime

import pandas as pd

from delays import features, model
from pipeline import add_traffic, fit, load, predict, split, validate
from turnout import LOGICAL_TIME, Features, endpoint, pipeline, step

weather = Features(
    *(f"weather:{name}" for name in features.WEATHER), entity="origin", timestamp="asked", name="add_weather"
)


@step
def ask(departures: pd.DataFrame) -> pd.DataFrame:
    """Add the moment of the prediction: the features are asked for as of then."""
    return departures.assign(asked=departures["scheduled"] - features.LEAD)


@step
def answered(departures: pd.DataFrame) -> pd.DataFrame:
    """Leave that moment out again."""
    return departures.drop(columns="asked")


@pipeline
def flights_from_store(
    depth: int = 6,
    iterations: int = 150,
    seed: int = 7,
    rows: int = 0,
    test_from: date = date(2013, 10, 1),
    now: datetime = LOGICAL_TIME,
):
    """Fit the model of `flights` on weather from the feature store, and bring that weather online.

    Args:
        depth: how deep each tree of the model may grow.
        iterations: how many trees there are.
        seed: what the model's random choices start from.
        rows: how many flights to use; 0 takes all 336,776.
        test_from: the first day to test on; the days before it are learned from.
        now: until when the weather is brought online.
    """
    raw = load(rows=rows)
    planned, _ = validate(raw.departures, raw.weather)
    known = add_traffic(answered(weather.historical(ask(planned))))
    train, _ = split(known, test_from=test_from)
    fit(train, depth=depth, iterations=iterations, seed=seed)
    weather.materialize(until=now)


KNOWN = [name for name in (*model.CATEGORIES, *model.NUMBERS) if name not in features.WEATHER]


@endpoint(flights_from_store, like={"rows": "split.test"}, columns={"rows": KNOWN})
def delay_by_now(rows: pd.DataFrame):
    """How many minutes late each flight will arrive, by the newest weather at its airport."""
    return predict(flights_from_store["fit"], weather.online(rows, timeout="2s"))
