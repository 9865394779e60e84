"""Outputs of every type, which Kubeflow is to show as what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from turnout import log_metric, pipeline, step


@dataclass
class Report:
    """A class of the project's own."""

    score: float


@step
def tables() -> tuple[
    Annotated[pd.DataFrame, "pandas"],
    Annotated[pl.DataFrame, "polars"],
    Annotated[pa.Table, "arrow"],
    Annotated[pd.Series, "series"],
    Annotated[list[pd.DataFrame], "several"],
]:
    """The same table in each of its forms."""
    frame = pd.DataFrame({"x": [1, 2, 3]})
    return frame, pl.DataFrame({"x": [1, 2, 3]}), pa.table({"x": [1, 2, 3]}), frame["x"], [frame, frame]


@step
def models(table: pd.DataFrame) -> tuple[Annotated[LinearRegression, "plain"], Annotated[Pipeline, "chained"]]:
    """A model, and one in a pipeline of scikit-learn."""
    fitted = LinearRegression().fit(table[["x"]], table["x"])
    log_metric("loss", 0.5)
    log_metric("loss", 0.25)
    return fitted, Pipeline([("fitted", fitted)])


@step
def numbers() -> tuple[
    Annotated[dict[str, float], "scores"],
    Annotated[dict[str, int], "counts"],
    Annotated[float, "one"],
    Annotated[dict[str, Any], "loose"],
]:
    """Metrics, and what is not quite that."""
    return {"r2": 0.5, "mae": 1.0}, {"rows": 3}, 0.25, {"name": "it", "rows": 3, "more": [1]}


@step
def others(
    folder: str = "",
) -> tuple[
    Annotated[str, "text"],
    Annotated[np.ndarray, "array"],
    Annotated[Report, "report"],
    Annotated[Path, "file"],
    Annotated[Any, "any"],
]:
    """What Kubeflow has no name for."""
    file = Path("notes.txt")
    file.write_text("it's a file", encoding="utf-8")
    return "<b>text</b>", np.arange(3), Report(score=0.5), file, {"anything": None}


@pipeline
def shown() -> None:
    """Outputs of every type."""
    models(tables().pandas)
    numbers()
    others()
