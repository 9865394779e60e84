"""Frames of few rows for pandas, made without Arrow where that gives the same: a third of the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Make = Callable[[list[Any]], Any]


class Pandas:
    """Makes frames like *empty*, a frame without rows as its materializer reads it."""

    def __init__(self, empty: Any) -> None:
        import pandas as pd

        self._frame = pd.DataFrame
        self._attrs = dict(empty.attrs)
        self._makers: dict[str, Make] = {}
        for name in empty.columns:
            maker = _maker(empty[name].dtype) if isinstance(name, str) and empty.columns.is_unique else None
            if maker is not None:
                self._makers[name] = maker
        self._whole = len(self._makers) == len(empty.columns)

    def frame(self, columns: Mapping[str, list[Any]]) -> Any | None:
        """The frame of converted values; None where it has to be made by way of Arrow."""
        if not self._whole:
            return None
        made = {}
        for name, make in self._makers.items():
            values = columns[name]
            if None in values and not getattr(make, "takes_null", False):
                return None
            made[name] = make(values)
        frame = self._frame(made, copy=False)
        if self._attrs:
            frame.attrs = dict(self._attrs)
        return frame


def _maker(dtype: Any) -> Make | None:
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return lambda values: np.array(values, dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return _Categories(dtype)
    if isinstance(dtype, pd.StringDtype):
        return lambda values: pd.array(values, dtype)
    return None


class _Categories:
    """Makes a categorical from the numbers of its categories."""

    takes_null = True

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype

    def __call__(self, codes: list[Any]) -> Any:
        import pandas as pd

        return pd.Categorical.from_codes([-1 if code is None else code for code in codes], dtype=self._dtype)
