"""Values of Arrow columns as rows of a database have them, and back, without loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


def plain(values: Any) -> list[Any]:
    """The values of a column as numbers, texts, bytes and lists of them."""
    stored = _stored(values.type)
    if stored is not None:
        values = values.cast(stored)
    return list(values.to_pylist())


def column(values: Sequence[Any], type_: Any) -> Any:
    """A column of a type from such values."""
    import pyarrow as pa

    stored = _stored(type_)
    return pa.array(values, type_) if stored is None else pa.array(values, stored).cast(type_)


def _stored(type_: Any) -> Any:
    """The type that values are kept as, where it is another."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_date32(type_) or types.is_time32(type_):
        return pa.int32()
    if types.is_temporal(type_):
        return pa.int64()
    return pa.string() if types.is_decimal(type_) else None


def key(values: Sequence[Any]) -> bytes:
    """The key of an entity from the values of its columns."""
    return encode(values)
