"""What a saved value consists of, for who looks for a secret in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from turnout.base import canonical

_TABLES = (b"PAR1", b"ARROW1")
"""What Parquet and Arrow files begin with."""
_ROWS = 1 << 16


def pieces(folder: Path) -> Iterator[bytes]:
    """The names and the bytes of all files in a folder; of tables, which are compressed, what is in them."""
    for path in sorted(folder.rglob("*")):
        yield path.relative_to(folder).as_posix().encode(errors="surrogateescape")
        if path.is_file():
            yield from _content(path)


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        if stream.peek(8).startswith(_TABLES):
            with suppress(Exception):  # where it only looks like a table, its bytes are all there is
                yield from _table(path)
                return
        while piece := stream.read(canonical.CHUNK):
            yield piece


def _table(path: Path) -> Iterator[bytes]:
    if find_spec("pyarrow") is None:
        import polars as pl

        frame = pl.read_parquet(path, glob=False) if path.read_bytes()[:4] == _TABLES[0] else pl.read_ipc(path)
        plain = io.BytesIO()
        frame.write_ipc(plain, compression="uncompressed")
        yield plain.getvalue()
        return
    import pyarrow as pa

    for schema, batch in _batches(path):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:  # names and dictionaries, too
            writer.write_batch(batch)
        yield sink.getvalue().to_pybytes()


def _batches(path: Path) -> Iterator[tuple[Any, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    with pa.OSFile(str(path)) as source:
        if source.read(4) == _TABLES[0]:
            file = parquet.ParquetFile(str(path))
            schema = file.schema_arrow
            empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
            yield schema, empty
            for batch in file.iter_batches(_ROWS):
                yield batch.schema, batch
            return
        source.seek(0)
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            yield batch.schema, batch
