"""Messages to and from the process that has Feast: a header as JSON and, where there is one, a table as Arrow IPC."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec

from turnout.plugin_api import (
    ConfigError,
    PluginError,
    RunError,
    TurnoutError,
    UnsupportedError,
)

FORMAT = 2
"""The version of messages and calls, which the other side says in its first one. It rises whenever one is new: the
interpreter of the setting `python` may have another turnout-feast than the one that asks."""
_SIZES = struct.Struct(">IQ")
_KINDS = {kind.__name__: kind for kind in (ConfigError, PluginError, RunError, UnsupportedError)}
_FEW = 64
"""Rows of a table up to which its schema takes longer than they do: it is told once."""
_SCHEMAS = 16


class Outgoing:
    """Writes messages to a stream. For one thread at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._schemas: list[Any] = []

    def write(self, header: Mapping[str, Any], table: Any = None) -> None:
        """Write one message: its header, and a pyarrow table if there is one.

        Raises:
            OSError: when the other side is gone.
        """
        body: Any = b""
        if table is not None:
            number = self._number(table) if table.num_rows <= _FEW else None
            if number is not None:
                header = {**header, "schema": number}
            is_told = number is not None and number < len(self._schemas)
            body = _batch_of(table).serialize() if is_told else _bytes_of(table)
            if number == len(self._schemas):
                self._schemas.append(table.schema)
        head = msgspec.json.encode(header)
        self._stream.write(_SIZES.pack(len(head), len(body)))
        self._stream.write(head)
        self._stream.write(body)
        self._stream.flush()

    def _number(self, table: Any) -> int | None:
        """The number of a table's schema, a new one where the other side has not been told; None where it never is."""
        schema = table.schema
        for number, known in enumerate(self._schemas):  # a hash would take longer
            if known.equals(schema):
                return number
        return len(self._schemas) if len(self._schemas) < _SCHEMAS and _is_plain(schema) else None


class Incoming:
    """Reads the messages of an :class:`Outgoing`. For one thread at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._schemas: dict[int, Any] = {}

    def read(self) -> tuple[dict[str, Any], Any] | None:
        """Read one message; None where the other side has ended."""
        sizes = self._stream.read(_SIZES.size)
        if len(sizes) < _SIZES.size:
            return None
        head, body = _SIZES.unpack(sizes)
        text, content = self._stream.read(head), self._stream.read(body)
        if len(text) < head or len(content) < body:
            return None
        header = msgspec.json.decode(text, type=dict[str, Any])
        return header, self._table(header.get("schema"), content) if body else None

    def _table(self, number: int | None, content: bytes) -> Any:
        import pyarrow as pa

        if number in self._schemas:
            return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(content), self._schemas[number])])
        with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
            table = reader.read_all()
        if number is not None:
            self._schemas[number] = table.schema
        return table


def of_error(error: TurnoutError) -> dict[str, Any]:
    """An error, for a header."""
    kind = type(error).__name__
    return {
        "kind": kind if kind in _KINDS else "RunError",
        "what": error.what,
        "where": None if error.where is None else str(error.where),
        "why": error.why,
        "fix": error.fix,
    }


def error_of(header: Mapping[str, Any]) -> TurnoutError:
    """The error that a header tells of."""
    kind = _KINDS.get(header["kind"], RunError)
    return kind(header["what"], where=header["where"], why=header["why"], fix=header["fix"])


def _bytes_of(table: Any) -> Any:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _batch_of(table: Any) -> Any:
    import pyarrow as pa

    batches = table.to_batches()
    return (
        batches[0] if len(batches) == 1 else pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())
    )


def _is_plain(schema: Any) -> bool:
    """Whether a batch alone is all there is to a table of that schema: categories lie beside it."""
    from pyarrow import types

    return not any(types.is_dictionary(field.type) or types.is_nested(field.type) for field in schema)
