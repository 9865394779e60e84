"""The columns that a retrieval is made of: keys in the types of their views, times in UTC, values in their types."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from turnout.base.errors import RunError

_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]\Z")
_DECIMAL = re.compile(r"decimal(128|256)\((\d+), (-?\d+)\)\Z")
_LIST = re.compile(r"list<\w+: (.+)>\Z")
_CATEGORIES = re.compile(r"dictionary<values=(.+), indices=.+\Z")


@lru_cache(maxsize=1024)
def arrow_type(name: str) -> Any:
    """The Arrow type of a name, or None where it is none of those that columns of features have."""
    import pyarrow as pa

    if match := _TIMESTAMP.match(name):
        return pa.timestamp(match[1], match[2])
    if match := _DECIMAL.match(name):
        return (pa.decimal128 if match[1] == "128" else pa.decimal256)(int(match[2]), int(match[3]))
    if match := _LIST.match(name):
        items = arrow_type(match[1])
        return None if items is None else pa.list_(items)
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return None


def key(values: Any, name: str, declared: str) -> Any:
    """A key column in the type that the view declares; null where a value cannot be one of the view's.

    Numbers are compared as numbers: 3.0 is the whole number 3, as tables with nulls have it, and 3.5 is none.

    Raises:
        RunError: when no value could ever match, such as text for a number.
    """
    import pyarrow as pa

    wanted = arrow_type(declared)
    values = plain(values)
    if wanted is None or values.type == wanted:
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), wanted)
    given, asked = _family(values.type), _family(wanted)
    if given != asked:
        raise RunError(
            f"the column {name!r} of the table never matches the key of the feature view",
            why=f"one has {given}, the other {asked}",
            fix="convert the table's column",
        )
    if given == "numbers":
        return _number(values, wanted)
    return values.cast(wanted)


def never_match(given: str, declared: str) -> str:
    """Why no value of a column's type is a key of the type that a view declares; empty where some may be.

    Types are Arrow's names.
    """
    categories = _CATEGORIES.match(given)
    types = arrow_type(categories[1] if categories else given), arrow_type(declared)
    if None in types or given == "null":
        return ""
    left, right = map(_family, types)
    return f"it has {left} ({given}), the view {right} ({declared})" if left != right else ""


def _number(values: Any, wanted: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return values.cast(wanted)
    except pa.ArrowInvalid:  # some are no whole numbers, or too large
        loose = values.cast(wanted, safe=False)
        same = pc.equal(loose.cast(pa.float64()), values.cast(pa.float64(), safe=False))
        return pc.if_else(same, loose, pa.scalar(None, wanted))


def plain(values: Any) -> Any:
    """The values without categories, in one piece."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # of no chunk at all
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def _family(type_: Any) -> str:
    from pyarrow import types

    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return "numbers"
    if types.is_string(type_) or types.is_large_string(type_) or str(type_) == "string_view":
        return "texts"
    if types.is_temporal(type_):
        return "times"
    return str(type_)


def times(values: Any, what: str) -> Any:
    """A column of times as a timestamp in UTC: one without a zone is UTC, dates are midnights, texts are ISO 8601.

    Raises:
        RunError: for what holds no times.
    """
    import pyarrow as pa
    from pyarrow import types

    values = plain(values)
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.timestamp("us", "UTC"))
    if types.is_timestamp(values.type):
        unit = "ms" if values.type.unit == "s" else values.type.unit
        return values.cast(pa.timestamp(unit, "UTC"))
    if types.is_date(values.type):
        return values.cast(pa.timestamp("ms")).cast(pa.timestamp("ms", "UTC"))
    if _family(values.type) == "texts":
        return _parsed(values, what)
    raise RunError(f"{what} has {_family(values.type)}, not times", fix="convert it, for example by pandas.to_datetime")


def _parsed(values: Any, what: str) -> Any:
    import pyarrow as pa

    texts = values.dictionary_encode()
    moments = [None if text is None else _moment(text, what) for text in texts.dictionary.to_pylist()]
    return pa.array(moments, pa.timestamp("us", "UTC")).take(texts.indices)


def _moment(text: str, what: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z") + ("+00:00" if text.endswith("Z") else ""))
    except ValueError:
        raise RunError(
            f"{what} cannot be read as times", fix="convert it, or write ISO 8601: 2026-01-31T12:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def value(values: Any, declared: str, feature: str) -> Any:
    """A feature in the type that its view declares.

    Raises:
        RunError: when the store has given something else.
    """
    import pyarrow as pa

    wanted = arrow_type(declared)
    if isinstance(values, pa.ChunkedArray):
        values = plain(values) if values.num_chunks != 1 else values.chunk(0)
    if wanted is None or values.type == wanted:
        return values
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise RunError(
            f"the feature {feature!r} came as {values.type}, where its view declares {declared}",
            why=str(error),
            fix="correct the type in the feature view, or its source",
        ) from None
