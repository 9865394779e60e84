"""How good the predictions are: numbers, a figure, and a page for people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import mean_absolute_error, r2_score

from delays.checks import ZONE


def score(truth: pd.Series, predicted: np.ndarray) -> dict[str, float]:
    """The mean absolute error in minutes, and R² (1 is perfect, 0 no better than the mean)."""
    return {
        "mae": round(float(mean_absolute_error(truth, predicted)), 4),
        "r2": round(float(r2_score(truth, predicted)), 4),
    }


def month_of(flights: pd.DataFrame) -> pd.Series:
    """The month of departure in New York, such as ``2013-10``."""
    return flights["scheduled"].dt.tz_convert(ZONE).dt.strftime("%Y-%m")


def calibration(truth: pd.Series, predicted: np.ndarray, groups: int = 20) -> Figure:
    """Draw the mean delay of flights against what was predicted for them, in groups of equal size."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    x = [float(predicted[part].mean()) for part in parts]
    y = [float(truth.to_numpy()[part].mean()) for part in parts]

    figure = Figure(figsize=(6, 5), layout="constrained")  # without pyplot: no window, no global state
    axes = figure.subplots()
    axes.plot(x, y, marker="o", label="flights of the test months")
    axes.axline((0, 0), slope=1, color="grey", linestyle="--", label="a perfect prediction")
    axes.set(xlabel="predicted arrival delay (minutes)", ylabel="mean actual delay (minutes)")
    axes.legend()
    return figure


def card(report: dict[str, Any], settings: dict[str, Any], columns: list[str]) -> str:
    """The model card: what the model is for, what it reads, how good it is."""
    return f"""\
# Arrival delay of flights from New York

Predicts, one hour before the scheduled departure, by how many minutes a flight will arrive late.
Learned from the flights of 2013 before {report["test_from"]}; measured on {report["tested"]:,} flights since.

| | this model | mean of carrier and hour |
|---|---|---|
| mean absolute error (minutes) | {report["mae"]:.2f} | {report["baseline_mae"]:.2f} |
| R² | {report["r2"]:.3f} | {report["baseline_r2"]:.3f} |

Settings: {", ".join(f"{name} = {value}" for name, value in settings.items())}.
Reads: {", ".join(columns)}.

Not for use on other airports, other years, or cancelled flights: it has seen none of these.
"""
