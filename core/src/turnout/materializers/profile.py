"""The profile of a table: its schema, and for each column what is missing, how numbers and times lie, what is frequent.

Counts of rows and missing values, minima and maxima are of all rows; quantiles and frequent values of a large table are
of every n-th row. The same table gives the same profile.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import msgspec

from turnout.model.profile import ColumnProfile, Profile

SAMPLE = 50_000
"""The number of rows from which on quantiles and frequent values are taken of every n-th row."""
COLUMNS = 100
"""The number of columns that are profiled, the first ones."""
TOP = 10
"""How many frequent values of a column are kept."""
LENGTH = 64
"""The characters of a text that are kept of a name, a type, or a value."""
PROBABILITIES = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
"""The probabilities of the quantiles; each is a value of the column, the lower of two."""
_INDEX = re.compile(r"__index_level_\d+__\Z")


def of_arrow(table: Any) -> Profile:
    """The profile of a pyarrow table."""
    names = {n: name for n, name in enumerate(table.column_names) if not _INDEX.match(name)}
    return _profile(table.num_rows, names, lambda n: str(table.field(n).type), table.column)


def of_polars(frame: Any) -> Profile:
    """The profile of a Polars data frame; one column at a time is made an Arrow array."""
    import pyarrow as pa

    names = dict(enumerate(frame.columns))
    return _profile(
        frame.height,
        names,
        lambda n: str(frame.dtypes[n]),
        lambda n: pa.chunked_array([frame.to_series(n).to_arrow()]),
    )


def _profile(rows: int, names: dict[int, str], kind: Callable[[int], str], column: Callable[[int], Any]) -> Profile:
    step = max(1, math.ceil(rows / SAMPLE))
    shown = list(names.items())[:COLUMNS]
    return Profile(
        rows=rows,
        sampled=math.ceil(rows / step) if step > 1 else None,
        columns=tuple(_column(name, partial(kind, n), partial(column, n), step) for n, name in shown),
        omitted=max(0, len(names) - COLUMNS),
    )


def _column(name: str, kind: Callable[[], str], column: Callable[[], Any], step: int) -> ColumnProfile:
    """The profile of a column, with what the libraries can tell of it: none of their errors is one of the step."""
    profile = ColumnProfile(name=_cut(name), type="")
    try:
        profile = msgspec.structs.replace(profile, type=_cut(kind()))
        values = column()
        profile = msgspec.structs.replace(profile, type=_cut(str(values.type)), nulls=values.null_count)
        profile = msgspec.structs.replace(profile, **_described(values, step))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # Polars' own kind of error
            raise
    return profile


def _described(values: Any, step: int) -> dict[str, Any]:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind):
        kind = pa.float64()
    elif pa.types.is_duration(kind):
        kind = pa.int64()
    if pa.types.is_boolean(kind) or _is_text(kind):
        return _frequent(_sample(values, step), kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind):
        if values.type != kind:
            values = values.cast(kind)
        return _spread(values, step)
    return {}


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _sample(values: Any, step: int) -> Any:
    """Every *step*-th value, without joining the chunks first."""
    import pyarrow as pa

    if step == 1:
        return values
    taken, start = [], 0
    for chunk in values.chunks:
        taken.append(chunk.take(_indices(-start % step, len(chunk), step)))
        start += len(chunk)
    return pa.chunked_array(taken, values.type)


@lru_cache(maxsize=8)
def _indices(first: int, end: int, step: int) -> Any:
    """Every *step*-th number, as an Arrow array: the columns of a table share them."""
    import pyarrow as pa

    return pa.array(range(first, end, step), pa.int64())


def _spread(values: Any, step: int) -> dict[str, Any]:
    """Minimum, maximum and quantiles of numbers and times."""
    import pyarrow as pa
    from pyarrow import compute

    kind = values.type
    bounds = compute.min_max(values)
    found = {key: _shown(bounds[name], kind) for key, name in (("minimum", "min"), ("maximum", "max"))}
    sample = _sample(values, step).drop_null()
    if pa.types.is_temporal(kind):
        sample = sample.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif pa.types.is_floating(kind):
        sample = sample.filter(compute.invert(compute.is_nan(sample)))
    if not len(sample):
        return found
    quantiles = compute.quantile(sample, q=list(PROBABILITIES), interpolation="lower")
    if pa.types.is_temporal(kind):
        quantiles = quantiles.cast(kind)
    return {**found, "quantiles": tuple(_shown(one, kind) for one in quantiles)}


def _shown(value: Any, kind: Any) -> Any:
    """A number or a time as JSON has it: times as text, in UTC where they have a zone; None for nothing."""
    import pyarrow as pa

    if not value.is_valid:
        return None
    if pa.types.is_timestamp(kind):
        value = value.cast(pa.timestamp(kind.unit))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        text = value.cast(pa.string()).as_py()
        return text.rstrip("0").rstrip(".") if "." in text else text
    number = value.as_py()
    return number if math.isfinite(number) else str(number)


def _frequent(sample: Any, kind: Any) -> dict[str, Any]:
    """The most frequent values of a sample, those of one count in their order."""
    from pyarrow import compute

    if sample.type != kind:
        sample = sample.cast(kind)
    counted = compute.value_counts(sample.drop_null())
    values, counts = counted.field("values"), counted.field("counts")
    order = compute.sort_indices(
        _table(values, counts), sort_keys=[("counts", "descending"), ("values", "ascending")]
    ).slice(0, TOP)
    top = zip(values.take(order).to_pylist(), counts.take(order).to_pylist(), strict=True)
    return {"distinct": len(values), "top": tuple((_cut(v) if isinstance(v, str) else v, n) for v, n in top)}


def _table(values: Any, counts: Any) -> Any:
    import pyarrow as pa

    return pa.table({"values": values, "counts": counts})


def _cut(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"
