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

FORMAT = 1
"""The version of these messages; both sides say it in their first one."""
_SIZES = struct.Struct(">IQ")
_KINDS = {kind.__name__: kind for kind in (ConfigError, PluginError, RunError, UnsupportedError)}


def write(stream: BinaryIO, header: Mapping[str, Any], table: Any = None) -> None:
    """Write one message: its header, and a pyarrow table if there is one.

    Raises:
        OSError: when the other side is gone.
    """
    head = msgspec.json.encode(header)
    body = b"" if table is None else _bytes_of(table)
    stream.write(_SIZES.pack(len(head), len(body)))
    stream.write(head)
    stream.write(body)
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], Any] | None:
    """Read one message, as :func:`write` wrote it; None where the other side has ended."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    head, body = _SIZES.unpack(sizes)
    header, content = stream.read(head), stream.read(body)
    if len(header) < head or len(content) < body:
        return None
    return msgspec.json.decode(header, type=dict[str, Any]), _table_of(content) if body else None


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


def _table_of(content: bytes) -> Any:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
        return reader.read_all()
