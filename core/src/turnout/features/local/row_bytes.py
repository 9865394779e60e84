"""Rows of views as bytes in a database: keys as msgpack, features as Arrow has them, without loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from turnout.features import columns

key = msgspec.msgpack.Encoder().encode
"""The key of an entity from the values of its columns."""


def plain(values: Any) -> list[Any]:
    """The values of a key column as numbers, texts and bytes."""
    stored = _stored(values.type)
    return list((values if stored is None else values.cast(stored)).to_pylist())


@lru_cache(maxsize=256)
def _stored(type_: Any) -> Any:
    """The type that values are kept as, where it is another."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_date32(type_) or types.is_time32(type_):
        return pa.int32()
    if types.is_temporal(type_):
        return pa.int64()
    return pa.string() if types.is_decimal(type_) else None


def bodies(table: Any) -> Iterator[bytes]:
    """Each row of a pyarrow table as bytes."""
    for batch in table.combine_chunks().to_batches():
        for row in range(len(batch)):
            yield batch.slice(row, 1).serialize().to_pybytes()


class Shape:
    """The features of a view, whose rows are kept as such bytes.

    Args:
        types: the features with the names of their types.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._schema = pa.schema([(name, columns.arrow_type(type_)) for name, type_ in types.items()])
        self._nothing = pa.RecordBatch.from_pylist([{}], self._schema)
        self._read = pa.ipc.read_record_batch

    def table(self, rows: Sequence[bytes | None]) -> Any:
        """The rows as a pyarrow table; null in the place of one that is None."""
        import pyarrow as pa

        found = [self._nothing if row is None else self._read(pa.py_buffer(row), self._schema) for row in rows]
        return pa.Table.from_batches(found, self._schema)
