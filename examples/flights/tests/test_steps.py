"""The steps are plain functions: each is called here on a small part of the real data, without any engine."""

import pickle
from datetime import date

import numpy as np
import pandas as pd
import pytest

import pipeline as steps
from delays import checks, features, model, report

HOUR = pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def raw():
    return steps.load(rows=6000)


@pytest.fixture(scope="module")
def tidy(raw):
    return steps.validate(*raw)


@pytest.fixture(scope="module")
def known(tidy):
    flights, weather = tidy
    return steps.add_traffic(steps.add_weather(flights, weather))


@pytest.fixture(scope="module")
def parts(known):
    return steps.split(known, test_from=date(2013, 10, 1))


# --- load ---


def test_a_sample_is_spread_over_the_year_and_always_the_same(raw):
    flights, weather = raw
    assert len(flights) == 6000
    assert set(flights["month"]) == set(range(1, 13))
    assert len(weather) == 26115
    pd.testing.assert_frame_equal(flights, steps.load(rows=6000)[0])


def test_no_rows_means_all_of_them():
    assert len(steps.load()[0]) == 336776


# --- validate ---


def test_the_real_data_passes_in_the_order_of_the_schedule(tidy):
    flights, weather = tidy
    assert flights["scheduled"].is_monotonic_increasing
    assert weather["known"].is_monotonic_increasing
    assert str(flights["scheduled"].dtype).endswith("UTC]")


def test_the_order_of_the_rows_that_come_in_does_not_matter(raw, tidy):
    flights, weather = (table.sample(frac=1, random_state=1) for table in raw)
    for again, before in zip(steps.validate(flights, weather), tidy, strict=True):
        pd.testing.assert_frame_equal(again, before)


def test_the_schedule_is_read_in_new_york_time(tidy):
    flights, _ = tidy
    local = flights["scheduled"].dt.tz_convert("America/New_York")
    assert (local.dt.hour == flights["hour"]).all()
    assert (local.dt.day_of_week == flights["weekday"]).all()


def test_an_impossible_wind_is_blanked_and_counted(raw):
    weather, faults = checks.tidy_weather(raw[1])
    assert faults == 1
    assert weather["wind_speed"].max() < checks.FASTEST_WIND


def test_everything_wrong_with_a_table_is_said_at_once(raw):
    flights = raw[0].copy()
    flights.iloc[0, flights.columns.get_loc("distance")] = -1
    flights["carrier"] = flights["carrier"].astype(object)
    flights.iloc[:600, flights.columns.get_loc("carrier")] = None
    flights = pd.concat([flights, flights.tail(2)])
    with pytest.raises(checks.DataError) as caught:
        checks.tidy_flights(flights)
    assert str(caught.value) == (
        "the table of flights is not as expected:\n"
        "- carrier: 10.0% of the values are missing, 0% may be\n"
        "- distance: 1 values lie outside 10 to 6000, such as -1\n"
        "- 2 rows repeat the year, month, day, origin, carrier, flight of another row"
    )


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda table: table.drop(columns="origin"), "the column 'origin' is missing"),
        (lambda table: table.head(0), "it has no rows"),
        (lambda table: table.assign(arr_delay="late"), "arr_delay: holds"),
        (lambda table: table.assign(dep_delay=-60.0), "dep_delay: 6000 values lie outside -59 to 1500"),
        (lambda table: table.assign(time_hour=table["time_hour"].str.replace("T1", "T0")), "not the day and hour"),
    ],
)
def test_a_bad_table_of_flights_is_refused(raw, spoil, problem):
    with pytest.raises(checks.DataError, match=problem):
        checks.tidy_flights(spoil(raw[0]))


def test_a_bad_table_of_weather_is_refused(raw):
    with pytest.raises(checks.DataError, match="the column 'wind_speed' is missing"):
        checks.tidy_weather(raw[1].drop(columns="wind_speed"))


# --- features ---


def test_features_keep_every_flight_in_its_place(tidy, known):
    pd.testing.assert_frame_equal(known[tidy[0].columns], tidy[0])
    assert set(known.columns) - set(tidy[0].columns) == {*features.WEATHER, *features.TRAFFIC}


def test_the_weather_is_the_last_that_was_known(tidy, known):
    flights, weather = tidy
    for at in np.random.default_rng(0).choice(len(flights), 50, replace=False):
        asked = flights["scheduled"][at] - HOUR
        past = weather[
            (weather["origin"] == flights["origin"][at])
            & (weather["known"] <= asked)
            & (weather["known"] >= asked - features.STALE)
        ]
        expected = past["temp"].iloc[-1] if len(past) else np.nan
        assert known["temp"][at] == pytest.approx(expected, nan_ok=True)


def test_the_traffic_is_what_a_loop_over_the_flights_would_find(tidy, known):
    flights, _ = tidy
    left = flights["scheduled"] + pd.to_timedelta(flights["dep_delay"], unit="min")
    for at in np.random.default_rng(0).choice(len(flights), 50, replace=False):
        asked = flights["scheduled"][at] - HOUR
        here = flights["origin"] == flights["origin"][at]
        for hours in features.WINDOWS:
            window = here & (left <= asked) & (left > asked - hours * HOUR)
            mean = flights["dep_delay"][window].mean()
            assert known[f"delay_{hours}h"][at] == pytest.approx(mean, nan_ok=True)
        due = here & (flights["scheduled"] <= asked) & (flights["scheduled"] > asked - 4 * HOUR)
        assert known["waiting"][at] == (due & ~(left <= asked)).sum()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_happens_later_changes_a_feature(tidy, known, seed):
    """Rewrite all that was not known when a prediction was made: the features must not move."""
    flights, weather = (table.copy() for table in tidy)
    chance = np.random.default_rng(seed)
    at = int(chance.integers(len(flights)))
    asked = flights["scheduled"][at] - HOUR

    left = flights["scheduled"] + pd.to_timedelta(flights["dep_delay"], unit="min")
    later = ~(left <= asked)  # also the flights that were due, but still stood there
    wait = ((asked - flights["scheduled"]) // pd.Timedelta(minutes=1)).clip(lower=-60)
    other = wait + 1 + chance.integers(0, 500, len(flights))
    cancelled = chance.random(len(flights)) < 0.2
    flights["dep_delay"] = flights["dep_delay"].where(~later, other.where(~cancelled).astype(float))
    flights["arr_delay"] = chance.normal(0, 100, len(flights))
    future = weather["known"] > asked
    for name in features.WEATHER:
        weather[name] = weather[name].where(~future, chance.normal(0, 100, len(weather)))

    again = features.add_traffic(features.add_weather(flights, weather))
    inputs = model.columns(known).columns
    pd.testing.assert_series_equal(again.loc[at, inputs], known.loc[at, inputs])
    assert not again[list(inputs)].equals(known[list(inputs)])  # but later flights did see the change


def test_a_flight_does_not_see_its_own_delay(tidy, known):
    flights = tidy[0]
    early = flights["dep_delay"].idxmin()
    changed = flights.assign(dep_delay=flights["dep_delay"].where(flights.index != early, -59.0))
    pd.testing.assert_series_equal(
        features.add_traffic(changed).loc[early, list(features.TRAFFIC)], known.loc[early, list(features.TRAFFIC)]
    )


def test_the_model_reads_no_outcome():
    used = {*model.CATEGORIES, *model.NUMBERS}
    assert not used & {"dep_delay", "arr_delay", "dep_time", "arr_time", "air_time"}


# --- split, baseline, model ---


def test_training_ends_where_testing_begins(known, parts):
    train, test = parts
    midnight = pd.Timestamp("2013-10-01", tz="America/New_York")
    assert train["scheduled"].max() < midnight <= test["scheduled"].min()
    assert len(train) + len(test) == known["arr_delay"].notna().sum()
    assert train["arr_delay"].notna().all()
    assert test["arr_delay"].notna().all()


def test_the_baseline_knows_each_carrier_and_hour_and_guesses_for_the_rest(parts):
    train, _ = parts
    baseline = steps.fit_baseline(train)
    rows = train.iloc[[0, 1]].assign(carrier=[train["carrier"][0], "??"])
    alike = train[(train["carrier"] == train["carrier"][0]) & (train["hour"] == train["hour"][0])]
    expected = [alike["arr_delay"].mean(), train["arr_delay"].mean()]
    assert model.predict_baseline(baseline, rows) == pytest.approx(expected)


def test_the_same_seed_gives_the_same_model(parts):
    train, test = parts
    first, again, other = (steps.fit(train, depth=4, iterations=10, seed=seed) for seed in (7, 7, 8))
    assert pickle.dumps(first) == pickle.dumps(again)
    assert not np.array_equal(model.predict(first, test), model.predict(other, test))


def test_the_model_takes_a_carrier_it_has_never_seen(parts):
    train, test = parts
    trained = steps.fit(train, depth=4, iterations=10, seed=7)
    assert np.isfinite(model.predict(trained, test.head(3).assign(carrier="??"))).all()


def test_a_report_holds_model_and_baseline(parts):
    train, test = parts
    trained, baseline = steps.fit(train, depth=4, iterations=10, seed=7), steps.fit_baseline(train)
    quality = steps.evaluate(steps.predict(trained, test), baseline, test, test_from=date(2013, 10, 1))
    error = (test["arr_delay"] - model.predict(trained, test)).abs().mean()
    assert quality["mae"] == pytest.approx(error, abs=1e-4)
    assert quality["tested"] == len(test)
    assert set(quality) == {"mae", "r2", "baseline_mae", "baseline_r2", "tested", "test_from"}

    card = steps.publish(trained, quality)
    assert f"{quality['mae']:.2f}" in card
    assert "depth = 4, iterations = 10, seed = 7" in card


def test_the_calibration_groups_cover_every_flight():
    truth = pd.Series([3.0, 1.0, 2.0])
    line = report.calibration(truth, np.array([30.0, 10.0, 20.0])).axes[0].lines[0]
    assert list(line.get_xdata()) == [10, 20, 30]
    assert list(line.get_ydata()) == [1, 2, 3]


def test_the_months_add_up_to_the_test(parts):
    train, test = parts
    trained, baseline = steps.fit(train, depth=4, iterations=10, seed=7), steps.fit_baseline(train)
    months = steps.months(test)
    table = steps.merge([steps.score_month(month, trained=trained, baseline=baseline) for month in months])
    assert list(table["month"]) == ["2013-10", "2013-11", "2013-12"]
    assert table["departures"].sum() == len(test)
    whole = report.score(test["arr_delay"], model.predict(trained, test))["mae"]
    assert np.average(table["mae"], weights=table["departures"]) == pytest.approx(whole, abs=1e-3)
