"""pandas frames as Arrow tables and back, with nothing changed on the way: labels, index, types, missing values.

pyarrow's own form comes first. It is read back at once: its labels, index and types must be those of the frame, and
its values where the type of a column does not vouch for them. If they are not, the index is kept as further columns
and the labels as a note. A frame that neither form keeps is :class:`Unfit`.
"""

from __future__ import annotations

import json
import math
import warnings
from datetime import date, time
from decimal import Decimal
from typing import Any

from turnout.base import canonical
from turnout.components.materializer import Unfit
from turnout.materializers import labels
from turnout.materializers.labels import is_object, kinds_of, same_items, same_labels

NOTES = b"turnout"
"""The key of the schema's metadata that holds what pandas' own does not say: JSON of what is not the default."""
PANDAS = b"pandas"
_OBJECTS: tuple[type, ...] = (str, bytes, bool, int, date, time, Decimal)
"""What a column of objects may hold, one type a column, for Arrow to give the same objects back."""
_EXACT: tuple[type, ...] = (str, bytes, bool, int, date)
"""Those of them that Arrow keeps or refuses, but never changes."""
_EXACT_DTYPES = ("StringDtype", "DatetimeTZDtype", "BooleanDtype", "ArrowDtype")


def to_arrow(value: Any) -> Any:
    """An Arrow table of a pandas frame or series.

    Raises:
        Unfit: when the table would not give the same frame back.
    """
    import pandas as pd

    notes: dict[str, Any] = {}
    frame = value
    if isinstance(value, pd.Series):
        frame = value.to_frame(name=value.name if type(value.name) is str else "")
        if type(value.name) is not str:
            notes["name"] = labels.lower_label(value.name)
    if not value.flags.allows_duplicate_labels:
        raise Unfit("its flag allows_duplicate_labels is not kept by Arrow")
    try:
        return _table(frame, notes)
    except Unfit:
        return _table(frame, notes, own=True)


def _table(frame: Any, notes: dict[str, Any], *, own: bool = False) -> Any:
    """The table in pyarrow's form, or with index and labels in ours. An error of a library is a reason, no failure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels, which are compared below, and of the two libraries' versions
            return _compared(frame, *(_own(frame, notes) if own else _arrow(frame, dict(notes))))
    except (Unfit, MemoryError):
        raise
    except Exception as error:
        raise Unfit(f"Arrow cannot hold it: {error}") from error


def _arrow(frame: Any, notes: dict[str, Any]) -> tuple[Any, bool]:
    """A table in pyarrow's form, and whether Arrow may have changed a value."""
    import pyarrow as pa

    doubtful = False
    content = frame
    for n, dtype in enumerate(frame.dtypes):
        if is_object(dtype):
            missing, exact = _judged(frame.iloc[:, n], f"column {frame.columns[n]!r}")
            if missing == "nan":
                notes.setdefault("nan", []).append(n)
            doubtful |= not exact
        elif hasattr(dtype, "categories") and not _plain_categories(dtype.categories):
            content = frame.copy(deep=False) if content is frame else content
            notes.setdefault("categories", {})[str(n)] = labels.lower(dtype.categories)
            content.isetitem(n, frame.iloc[:, n].cat.rename_categories(_texts(dtype.categories)))
        elif not type(dtype).__module__.startswith(("numpy", "pandas")):
            raise Unfit(f"only its library knows the type of the column {frame.columns[n]!r}, {dtype}")
        else:
            doubtful |= not _exact_dtype(dtype)
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        if is_object(values.dtype):
            missing, exact = _judged(values, f"index {level}")
            if missing == "nan":
                raise Unfit("its index has NaN among objects")
            doubtful |= not exact or missing is not None
    if getattr(frame.index, "freq", None) is not None and frame.index.dtype.kind in "mM":
        notes["freq"] = labels.frequency_text(frame.index.freq)
    table = pa.Table.from_pandas(content)
    if frame.attrs and canonical.encode(labels.lower_label(frame.attrs)) != canonical.encode(
        labels.lower_label(table.slice(0, 0).to_pandas().attrs)
    ):
        notes["attrs"] = labels.lower_label(frame.attrs)
    return _noted(table, notes), doubtful


def _own(frame: Any, notes: dict[str, Any]) -> tuple[Any, bool]:
    """A table of which the index is further columns, and the labels are a note."""
    import pandas as pd

    content, notes = frame.copy(deep=False), dict(notes)
    names = _texts(frame.columns)
    notes["labels"] = labels.lower(frame.columns)
    content.columns = pd.Index(names, dtype=object)
    if type(frame.index) is pd.RangeIndex:
        return _arrow(content, notes)
    content.index = pd.RangeIndex(len(frame))
    levels = [frame.index.get_level_values(n) for n in range(frame.index.nlevels)]
    index = pd.DataFrame(dict(zip(_level_names(frame.index, names), map(_as_series, levels), strict=True)))
    beside = _table(index, {})
    notes["index"] = {
        "metadata": [beside.schema.metadata[key].decode() for key in (PANDAS, NOTES) if key in beside.schema.metadata],
        "names": labels.lower_label(list(frame.index.names)),
        "multi": isinstance(frame.index, pd.MultiIndex),
    }
    if getattr(frame.index, "freq", None) is not None and frame.index.dtype.kind in "mM":
        notes["freq"] = labels.frequency_text(frame.index.freq)
    table, doubtful = _arrow(content, notes)
    for field, column in zip(beside.schema, beside.columns, strict=True):
        table = table.append_column(field, column)
    return table, doubtful


def _compared(frame: Any, table: Any, doubtful: bool) -> Any:
    """The table, if it gives the frame back: values are compared where they are *doubtful*, all else always."""
    back = to_pandas(table if doubtful else table.slice(0, 0))
    if (
        table.num_rows != len(frame)
        or not same_labels(frame.columns, back.columns)
        or list(frame.dtypes) != list(back.dtypes)
        or _levels(frame.index) != _levels(back.index)
        or getattr(frame.index, "freq", None) != getattr(back.index, "freq", None)
    ):
        raise Unfit("Arrow would give it back with other labels or types")
    if doubtful:
        for n in range(frame.shape[1]):
            if not same_items(frame.iloc[:, n].array, back.iloc[:, n].array):
                raise Unfit(f"Arrow would change values of the column {frame.columns[n]!r}")
        for n in range(frame.index.nlevels):
            if not same_items(frame.index.get_level_values(n).array, back.index.get_level_values(n).array):
                raise Unfit("Arrow would change values of its index")
    return table


def to_pandas(table: Any, series: bool = False) -> Any:
    """The pandas frame, or the series, of an Arrow table, whoever wrote it."""
    metadata = table.schema.metadata or {}
    notes = json.loads(metadata.get(NOTES, b"{}"))
    described = json.loads(metadata.get(PANDAS, b"{}"))
    table = stored(table)
    if index := notes.get("index") or _typed_index(described):
        first = table.num_columns - len(index["names"])  # they come last
        beside = table.select(list(range(first, table.num_columns)))
        table = table.select(list(range(first)))
    frame = table.to_pandas()
    if described:
        _restore(frame, described, notes.get("nan", ()))
    for n, categories in notes.get("categories", {}).items():
        column = frame.iloc[:, int(n)]
        frame.isetitem(int(n), column.cat.rename_categories(labels.lift(categories)))
    if "labels" in notes:
        frame.columns = labels.lift(notes["labels"])
    if index:
        own = dict(zip((PANDAS, NOTES), index["metadata"], strict=False))
        frame.index = _index(to_pandas(beside.replace_schema_metadata(own)), index)
    if "freq" in notes and frame.index.dtype.kind in "mM":
        frame.index.freq = notes["freq"]
    if "attrs" in notes:
        frame.attrs = labels.lift_label(notes["attrs"])
    if not series:
        return frame
    column = frame.iloc[:, 0]
    return column.rename(labels.lift_label(notes["name"])) if "name" in notes else column


def stored(table: Any) -> Any:
    """The table without pandas' own types of Arrow: whether they are there depends on what a process has imported."""
    import pyarrow as pa

    for n, field in enumerate(table.schema):
        name = (
            getattr(field.type, "extension_name", None)
            or (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        )
        if not name.startswith("pandas."):
            continue
        column, kind = table.column(n), field.type
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind)
        table = table.set_column(n, pa.field(field.name, kind, field.nullable), column)
    return table


def _noted(table: Any, notes: dict[str, Any]) -> Any:
    if not notes:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), NOTES: canonical.encode(notes)})


def _texts(items: Any) -> list[str]:
    """The text of each label or category, as other libraries see it."""
    texts = list(map(str, items))
    if len(set(texts)) < len(texts):
        raise Unfit("two of its labels have the same text")
    return texts


def _level_names(index: Any, taken: list[str]) -> list[str]:
    """The columns' names for the levels of an index: their own, or those that say that they are an index without."""
    names = [name if type(name) is str else f"__index_level_{n}__" for n, name in enumerate(index.names)]
    return (
        names
        if len({*names, *taken}) == len(names) + len(taken)
        else list(map("__index_level_{}__".format, range(len(names))))
    )


def _as_series(level: Any) -> Any:
    import pandas as pd

    return pd.Series(level.array, dtype=level.dtype)


def _typed_index(described: dict[str, Any]) -> dict[str, Any] | None:
    """How the index of a table in pyarrow's form is read where it has periods or intervals, which pyarrow forgets."""
    names = [name for name in described.get("index_columns", ()) if isinstance(name, str)]
    levels = [entry for entry in described.get("columns", ()) if entry["field_name"] in names]
    if not any(entry["numpy_type"].startswith(("period", "interval")) for entry in levels):
        return None
    columns = [{**entry, "name": entry["field_name"]} for entry in levels]
    return {
        "metadata": [json.dumps({**described, "index_columns": [], "columns": columns, "attributes": {}})],
        "names": labels.lower_label([entry["name"] for entry in levels]),
        "multi": len(levels) > 1,
    }


def _index(frame: Any, described: dict[str, Any]) -> Any:
    import pandas as pd

    names = labels.lift_label(described["names"])
    columns = [frame.iloc[:, n] for n in range(frame.shape[1])]
    if described["multi"]:
        return pd.MultiIndex.from_arrays([pd.Index(c.array, dtype=c.dtype) for c in columns], names=names)
    return pd.Index(columns[0].array, dtype=columns[0].dtype, name=names[0], tupleize_cols=False)


def _plain_categories(categories: Any) -> bool:
    """Whether Arrow keeps categories as they are."""
    if is_object(categories.dtype):
        return kinds_of(categories) in ({str}, {date}, set())
    return type(categories.dtype).__module__.startswith("numpy") or type(categories.dtype).__name__ == "StringDtype"


def _exact_dtype(dtype: Any) -> bool:
    """Whether Arrow keeps every value of a type: numbers, text, times, nullable numbers, categories of these."""
    return (
        type(dtype).__module__.startswith("numpy")
        or hasattr(dtype, "numpy_dtype")
        or hasattr(dtype, "categories")
        or type(dtype).__name__ in _EXACT_DTYPES
    )


def _judged(values: Any, label: str) -> tuple[str | None, bool]:
    """What stands for missing values in a column of objects, ``none`` or ``nan``; and whether Arrow keeps the others.

    Raises:
        Unfit: when Arrow has no column for them.
    """
    import numpy as np

    kinds = kinds_of(values)
    absent = kinds & {type(None), float}
    kinds -= absent
    if float in absent and not all(math.isnan(item) for item in values if type(item) is float):
        raise Unfit(f"{label} mixes floats with other objects")
    if kinds == {np.ndarray}:
        arrays = [item for item in values if type(item) is np.ndarray]
        if len({item.dtype for item in arrays}) > 1 or any(
            item.ndim != 1 or item.dtype.kind not in "biuf" for item in arrays
        ):
            raise Unfit(f"{label} holds arrays of several kinds")
    elif len(kinds) > 1 or not kinds <= set(_OBJECTS):
        raise Unfit(f"{label} holds objects of {', '.join(sorted(kind.__name__ for kind in kinds))}")
    if len(absent) > 1 or (absent and int in kinds):
        raise Unfit(f"{label} holds missing values that Arrow would change")
    return None if not absent else "nan" if float in absent else "none", kinds <= set(_EXACT)


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


def _levels(index: Any) -> list[Any]:
    """The name and type of each level; of a range, which Arrow keeps as three numbers, nothing can go wrong."""
    if type(index).__name__ == "RangeIndex":
        return []
    return list(zip(index.names, index.dtypes if index.nlevels > 1 else [index.dtype], strict=True))
