"""pandas frames as Arrow tables and back, with nothing changed on the way: labels, index, types, missing values."""

from __future__ import annotations

import json
import math
import warnings
from datetime import date, time
from decimal import Decimal
from typing import Any

from turnout import canonical
from turnout.components.materializer import Unfit
from turnout.materializers import plain

NOTES = b"turnout"
"""The key of the schema's metadata that holds what pandas' own does not say: JSON of what is not the default."""
_OBJECTS: tuple[type, ...] = (str, bytes, bool, int, date, time, Decimal)
"""What a column of objects may hold, one type a column, for Arrow to give the same objects back."""


def to_arrow(value: Any) -> Any:
    """An Arrow table of a pandas frame or series.

    Raises:
        Unfit: when the table would not give the same frame back.
    """
    import pandas as pd
    import pyarrow as pa

    notes: dict[str, Any] = {}
    frame = value
    if isinstance(value, pd.Series):
        frame = value.to_frame(name=value.name if type(value.name) is str else "")
        if type(value.name) is not str:
            notes["name"] = plain.lower(value.name)
    if not value.flags.allows_duplicate_labels:
        raise Unfit("its flag allows_duplicate_labels is not kept by Arrow")
    if frequency := getattr(frame.index, "freqstr", None):
        notes["freq"] = frequency
    columns = {n: frame.iloc[:, n] for n in range(frame.shape[1]) if _of_objects(frame.dtypes.iloc[n])}
    if absent := {n: kind for n, column in columns.items() if (kind := _missing(column, column.name)) == "nan"}:
        notes["nan"] = sorted(absent)
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        if _of_objects(values.dtype) and _missing(values, f"index {level}") == "nan":
            raise Unfit("its index has NaN among objects")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels, which are compared below, and of the two libraries' versions
            table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise Unfit(f"Arrow cannot hold it: {error}") from error
    if notes:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), NOTES: canonical.encode(notes)})
    if table.num_rows != len(frame) or not _alike(frame, to_pandas(table.slice(0, 0))):
        raise Unfit("Arrow would give it back with other labels or types")
    return table


def to_pandas(table: Any, series: bool = False) -> Any:
    """The pandas frame, or the series, of an Arrow table, whoever wrote it."""
    metadata = table.schema.metadata or {}
    notes = json.loads(metadata.get(NOTES, b"{}"))
    frame = table.to_pandas()
    if b"pandas" in metadata:
        _restore(frame, json.loads(metadata[b"pandas"]), notes.get("nan", ()))
    if "freq" in notes and len(frame):
        frame.index.freq = notes["freq"]
    if not series:
        return frame
    column = frame.iloc[:, 0]
    return column.rename(plain.lift(notes["name"])) if "name" in notes else column


def _of_objects(dtype: Any) -> bool:
    return type(dtype).__module__.startswith("numpy") and dtype.kind == "O"


def _missing(values: Any, label: Any) -> str | None:
    """What stands for missing values in a column of objects: ``none``, ``nan``, or None where none is missing."""
    import numpy as np

    kinds = set(map(type, values))
    absent = kinds & {type(None), float}
    kinds -= absent
    if float in absent and not all(math.isnan(item) for item in values if type(item) is float):
        raise Unfit(f"column {label!r} mixes floats with other objects")
    if kinds == {np.ndarray}:
        if len({item.dtype for item in values if item is not None}) > 1 or any(
            item.ndim != 1 or item.dtype.kind not in "biuf" for item in values if item is not None
        ):
            raise Unfit(f"column {label!r} holds arrays of several kinds")
    elif len(kinds) > 1 or not kinds <= set(_OBJECTS):
        raise Unfit(f"column {label!r} holds objects of {', '.join(sorted(kind.__name__ for kind in kinds))}")
    if len(absent) > 1 or (absent and int in kinds):
        raise Unfit(f"column {label!r} holds missing values that Arrow would change")
    return None if not absent else "nan" if float in absent else "none"


def _restore(frame: Any, described: dict[str, Any], nan: Any) -> None:
    """Make columns of objects of those that were such: pandas reads strings, bools and ints as types of their own."""
    for n, entry in enumerate(described["columns"][: frame.shape[1]]):
        column = frame.iloc[:, n]
        if entry["numpy_type"] != "object":
            continue
        missing = column.isna()
        column = column.astype(object)
        if missing.any():
            column[missing] = math.nan if n in nan else None
        frame.isetitem(n, column)
    for entry in described["columns"][frame.shape[1] :]:
        if entry["numpy_type"] == "object" and frame.index.nlevels == 1:
            frame.index = frame.index.astype(object)


def _alike(frame: Any, back: Any) -> bool:
    """Whether an empty frame read back has the labels and types of the one that was written."""
    labels, again = list(frame.columns), list(back.columns)
    return (
        labels == again
        and [type(label) for label in labels] == [type(label) for label in again]
        and list(frame.columns.names) == list(back.columns.names)
        and list(frame.dtypes) == list(back.dtypes)
        and _levels(frame.index) == _levels(back.index)
    )


def _levels(index: Any) -> list[Any]:
    """The name and type of each level; of a range, which Arrow keeps as three numbers, nothing can go wrong."""
    if type(index).__name__ == "RangeIndex":
        return []
    return list(zip(index.names, index.dtypes if index.nlevels > 1 else [index.dtype], strict=True))
