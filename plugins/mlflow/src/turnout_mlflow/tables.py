"""Tables in their files: what they are like, and how they begin, without reading all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

PREVIEW = 1000
"""How many rows of a table that is logged MLflow's pages show."""


class Table(NamedTuple):
    """The columns of a table, how many rows it has, and those that come first (at least one, at most so many)."""

    schema: pa.Schema
    rows: int
    first: pa.Table


def read(folder: Path) -> Table | None:
    """The one table that lies in a folder; None for anything else."""
    import pyarrow as pa

    files = [file for file in folder.iterdir() if file.suffix in {".parquet", ".arrow", ".feather"}]
    if len(files) != 1:
        return None
    try:
        return _parquet(files[0]) if files[0].suffix == ".parquet" else _arrow(files[0])
    except pa.ArrowException:
        return None


def write_preview(folder: Path, target: Path) -> bool:
    """Write the first rows of a folder's table as CSV, which MLflow's pages show; False where there is none, or where
    its values have no place in CSV."""
    import pyarrow as pa
    from pyarrow import csv

    table = read(folder)
    if table is None:
        return False
    try:
        csv.write_csv(table.first, target)
    except pa.ArrowException:
        return False
    return True


def _parquet(file: Path) -> Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        schema = parquet.schema_arrow
        return Table(schema, parquet.metadata.num_rows, _table(next(parquet.iter_batches(PREVIEW), None), schema))


def _arrow(file: Path) -> Table:
    import pyarrow as pa

    with pa.OSFile(str(file)) as opened, pa.ipc.open_file(opened) as reader:
        counts = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        first = reader.get_batch(0).slice(0, PREVIEW) if counts else None
        return Table(reader.schema, sum(counts), _table(first, reader.schema))


def _table(batch: pa.RecordBatch | None, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([] if batch is None else [batch], schema)
