"""Frames of few rows for pandas, made without Arrow where that gives the same: a third of the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Make = Callable[[list[Any]], Any]


class Pandas:
    """Makes frames like *empty*, a frame without rows as its materializer reads it."""

    def __init__(self, empty: Any) -> None:
        import numpy as np

        self._from_blocks = _from_blocks()
        self._columns = empty.columns
        self._attrs = dict(empty.attrs)
        self._makers: dict[str, Make] = {}
        self._nullable: set[str] = set()
        places: dict[Any, list[int]] = {}
        for n, name in enumerate(empty.columns):
            dtype = empty[name].dtype if isinstance(name, str) and empty.columns.is_unique else None
            if (maker := _maker(dtype)) is not None:
                self._makers[name] = maker
                if not isinstance(dtype, np.dtype) or dtype.kind == "f":
                    self._nullable.add(name)
                places.setdefault(dtype if isinstance(dtype, np.dtype) else n, []).append(n)
        self._whole = len(self._makers) == len(empty.columns)
        names = list(self._makers)
        self._blocks = [
            ([names[n] for n in block], key if isinstance(key, np.dtype) else None, np.array(block))
            for key, block in places.items()
            if self._whole
        ]
        """Columns that lie together, the type of those of numpy, and their places."""

    def frame(self, columns: Mapping[str, list[Any]]) -> Any | None:
        """The frame of converted values; None where it has to be made by way of Arrow."""
        if not self._whole:
            return None
        for name in self._makers:
            if None in columns[name] and name not in self._nullable:
                return None
        frame = self._joined(columns)
        if self._attrs:
            frame.attrs = dict(self._attrs)
        return frame

    def _joined(self, columns: Mapping[str, list[Any]]) -> Any:
        import numpy as np
        import pandas as pd

        if self._from_blocks is None or not self._blocks:
            made = {name: make(columns[name]) for name, make in self._makers.items()}
            return pd.DataFrame(made, columns=self._columns, copy=False)
        blocks = [
            (np.array([columns[name] for name in names], dtype), place)
            if dtype is not None
            else (self._makers[names[0]](columns[names[0]]), place)
            for names, dtype, place in self._blocks
        ]
        index = pd.RangeIndex(len(next(iter(columns.values()))))
        return self._from_blocks(blocks, index=index, columns=self._columns)


def _from_blocks() -> Any:
    """What makes a frame of blocks, in a third of the time that one of columns takes; None before pandas 3."""
    try:
        from pandas.api.internals import create_dataframe_from_blocks
    except ImportError:
        return None
    return create_dataframe_from_blocks


def _maker(dtype: Any) -> Make | None:
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return lambda values: np.array(values, dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return _Categories(dtype)
    if isinstance(dtype, pd.StringDtype):
        return _texts(dtype)
    return None


def _texts(dtype: Any) -> Make:
    """What makes an array of texts: of Arrow's without looking at each once more, which takes five times as long."""
    import pandas as pd
    import pyarrow as pa

    empty = pd.array([], dtype)
    if dtype.storage != "pyarrow" or _from_blocks() is None:  # before pandas 3 they are made otherwise
        return lambda values: pd.array(values, dtype)
    kind: Any = type(empty)
    return lambda values: kind(pa.array(values, pa.large_string()), dtype=dtype)


class _Categories:
    """Makes a categorical from the numbers of its categories."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype

    def __call__(self, codes: list[Any]) -> Any:
        import pandas as pd

        return pd.Categorical.from_codes([-1 if code is None else code for code in codes], dtype=self._dtype)
