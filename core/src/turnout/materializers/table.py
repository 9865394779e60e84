"""Tables of pandas, Polars and pyarrow, as Parquet: each of them reads what another wrote.

What Parquet would change (dictionary columns of any values, timestamps in seconds) is an Arrow file instead.
Read by another library, an unnamed index of pandas is left out and a named one is a column.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Unfit
from turnout.materializers import frames, profile
from turnout.materializers.classes import name_of
from turnout.materializers.paths import FIRST, folder_of_step, refuse_texts
from turnout.materializers.sameness import Compared
from turnout.model.profile import Profile
from turnout.model.types import ANY, TypeName

PANDAS = ("pandas:DataFrame", "pandas.core.frame:DataFrame")
PANDAS_SERIES = ("pandas:Series", "pandas.core.series:Series")
POLARS = ("polars.dataframe.frame:DataFrame",)
POLARS_SERIES = ("polars.series.series:Series",)
LAZY = ("polars.lazyframe.frame:LazyFrame",)
ARROW = ("pyarrow.lib:Table",)
SERIES = PANDAS_SERIES + POLARS_SERIES
TABLES = PANDAS + POLARS + LAZY + ARROW + SERIES
COMPRESSION = "zstd"
ROW_GROUP = 1 << 20
"""The rows of a row group: with fewer, a large table takes half as long again to write."""
_INDEX = re.compile(r"__index_level_\d+__\Z")
_EXTENSION = re.compile(r"extension<(?!arrow\.)")
"""A type of Arrow that is there only once the library that defines it is imported."""
_WHOLE = b"turnout.whole"
"""The key of the schema's metadata that says that what looks like an index of pandas is a column of the table."""


class Table(Compared):
    """Data frames, series and tables; ``table.parquet`` or ``table.arrow``, ``series.…`` for a series."""

    name = "table"
    types = TABLES
    reads = TABLES

    def save(self, value: Any, folder: Path) -> Profile | None:
        kind = name_of(type(value))
        if kind not in TABLES:
            raise Unfit(f"{kind}, a subclass, has a state of its own")
        path = folder / ("series.parquet" if kind in SERIES else "table.parquet")
        if kind in POLARS + POLARS_SERIES + LAZY:
            frame = value.to_frame() if kind in POLARS_SERIES else _collected(value) if kind in LAZY else value
            _refuse_paths({name: _of_polars(frame[name]) for name in frame.columns})
            _write_polars(frame, path)
            return profile.of_polars(frame) if find_spec("pyarrow") is not None else None
        _need_pyarrow(kind)
        table = _whole(value) if kind in ARROW else frames.to_arrow(value)
        _refuse_paths({name: _of_arrow(table.column(n)) for n, name in enumerate(table.column_names)})
        _write_arrow(table, path)
        return profile.of_arrow(table)

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        path = _file(folder)
        kind = next((name for name in (wanted.name, *wanted.bases) if name in TABLES), None) or _origin(path)
        if kind in POLARS + POLARS_SERIES + LAZY:
            frame = _read_polars(path)
            return frame if kind in POLARS else frame.lazy() if kind in LAZY else _single(frame, kind).to_series()
        _need_pyarrow(kind)
        table = _read_arrow(path)
        if kind in ARROW:
            return as_written(table)
        if kind in PANDAS_SERIES and path.stem != "series":
            return frames.to_pandas(_single(_without_index(table), kind), series=True)
        return frames.to_pandas(table, series=kind in PANDAS_SERIES)


def _file(folder: Path) -> Path:
    for name in ("table.parquet", "series.parquet", "table.arrow", "series.arrow"):
        if (folder / name).is_file():
            return folder / name
    raise ArtifactError("the artifact holds no table", why="there is neither a Parquet nor an Arrow file in it")


def _origin(path: Path) -> str:
    """The type of the value that was written, as far as the file tells."""
    series = path.stem == "series"
    if find_spec("pyarrow") is None:
        return (POLARS_SERIES if series else POLARS)[0]
    metadata = _schema(path).metadata or {}
    if b"pandas" in metadata:
        return (PANDAS_SERIES if series else PANDAS)[0]
    return POLARS_SERIES[0] if series else ARROW[0] if frames.NOTES in metadata else POLARS[0]


def _need_pyarrow(kind: str) -> None:
    if find_spec("pyarrow") is None:
        raise ArtifactError(
            f"a table of {kind} cannot be written or read: pyarrow is not installed",
            why="tables are kept as Parquet",
            fix="add pyarrow to the project's requirements",
        )


def _write_arrow(table: Any, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    if table.num_rows and not table.column_names:
        raise Unfit("rows without columns have no form in a file")
    names = table.column_names
    if len(set(names)) == len(names) and not any("dictionary<" in str(field.type) for field in table.schema):
        try:
            parquet.write_table(table, path, compression=COMPRESSION, row_group_size=ROW_GROUP)
        except pa.ArrowNotImplementedError:
            path.unlink(missing_ok=True)
        else:
            if parquet.read_schema(path).equals(table.schema):
                return
            path.unlink()
    table = _one_dictionary_each(table)
    options = pa.ipc.IpcWriteOptions(compression=COMPRESSION)
    with pa.ipc.new_file(path.with_suffix(".arrow"), table.schema, options=options) as writer:
        for batch in table.to_batches(ROW_GROUP) or [_empty(table)]:
            writer.write_batch(batch)


def _one_dictionary_each(table: Any) -> Any:
    """The table with one dictionary a column, as the file format has it, and no index of -1 for a missing value."""
    import pyarrow as pa

    table = table.unify_dictionaries()
    for n, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and table.column(n).null_count:
            chunks = []
            for chunk in table.column(n).chunks:
                numbers = chunk.indices.fill_null(0).to_numpy(zero_copy_only=False)
                absent = chunk.is_null().to_numpy(zero_copy_only=False)
                indices = pa.array(numbers, field.type.index_type, mask=absent)
                chunks.append(pa.DictionaryArray.from_arrays(indices, chunk.dictionary, ordered=field.type.ordered))
            table = table.set_column(n, field, pa.chunked_array(chunks, field.type))
    return table


def _empty(table: Any) -> Any:
    """A batch without rows: it carries the dictionaries, which a file without batches would lose."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)


def _schema(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == ".parquet":
        return parquet.read_schema(path)
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).schema


def _read_arrow(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == ".parquet":
        return parquet.read_table(path, partitioning=None)
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _refuse_paths(texts: dict[str, list[Any]]) -> None:
    found = {name: column for name, column in texts.items() if column}
    refuse_texts(found, repr(found).encode())


def _of_arrow(column: Any) -> list[Any]:
    """The first texts of a column, or of the lists in it, that begin as the paths of the step's files do."""
    import pyarrow as pa
    from pyarrow import compute

    prefix, kind = folder_of_step(), column.type
    if prefix is None or not column.num_chunks:
        return []
    if pa.types.is_dictionary(kind):
        return [text for chunk in column.chunks for text in _of_arrow(pa.chunked_array([chunk.dictionary]))]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _of_arrow(compute.list_flatten(column))
    if not any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string)):
        return []
    begins = compute.starts_with(column, os.fsdecode(prefix))
    texts: list[Any] = column.filter(begins).slice(0, FIRST).to_pylist() if compute.any(begins).as_py() else []
    return texts


def _of_polars(column: Any) -> list[Any]:
    """The same of a column of Polars."""
    import polars as pl

    prefix = folder_of_step()
    if prefix is None:
        return []
    if column.dtype in (pl.Categorical, pl.Enum):
        return _of_polars(column.unique(maintain_order=True).cast(pl.String))
    if column.dtype == pl.List:
        return _of_polars(column.explode())
    if column.dtype != pl.String:
        return []
    texts: list[Any] = column.filter(column.str.starts_with(os.fsdecode(prefix))).head(FIRST).to_list()
    return texts


def _collected(value: Any) -> Any:
    import polars as pl

    try:
        return value.collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArtifactError(
            f"a LazyFrame cannot be collected: {str(error).partition(chr(10))[0]}",
            why="it is read when it is saved, since the files it reads may be gone later",
            fix="collect it in the step",
        ) from None


def _whole(table: Any) -> Any:
    """The table of a step that works with pyarrow: of one that pandas has made, the index is a column like others.

    Raises:
        Unfit: when what is read back would depend on the libraries that its reader has imported.
    """
    if table.num_rows and not table.column_names:
        raise ArtifactError("a pyarrow table of rows without columns has no form, nor has its pickle")
    for field in table.schema:
        if _EXTENSION.search(str(field.type)) or b"ARROW:extension:name" in (field.metadata or {}):
            raise Unfit(f"only its library knows the type of the column {field.name!r}")
    if any(_INDEX.match(name) for name in table.column_names):
        return table.replace_schema_metadata({**(table.schema.metadata or {}), _WHOLE: b"true"})
    return table


def as_written(table: Any) -> Any:
    """The Arrow table of one that was read, without what other libraries noted in it."""
    metadata = table.schema.metadata or {}
    if _WHOLE in metadata:
        return table.replace_schema_metadata({key: text for key, text in metadata.items() if key != _WHOLE} or None)
    return frames.stored(_without_index(table))


def _without_index(table: Any) -> Any:
    names = [name for name in table.column_names if _INDEX.match(name)]
    return table.drop_columns(names) if names else table


def _write_polars(frame: Any, path: Path) -> None:
    import polars as pl

    if any(_INDEX.match(name) for name in frame.columns):
        raise Unfit("it has a column with the name of an index of pandas")
    try:
        frame.write_parquet(path, compression=COMPRESSION, row_group_size=ROW_GROUP)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Unfit(f"Polars cannot write it as Parquet: {error}") from error
    if pl.read_parquet_schema(path) != frame.schema:
        raise Unfit("Polars would read it back with other types")


def _read_polars(path: Path) -> Any:
    import polars as pl

    frame: Any
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path, hive_partitioning=False, glob=False)
    elif find_spec("pyarrow") is None:
        frame = pl.read_ipc(path)
    else:
        return as_polars(_read_arrow(path))
    return frame.drop([name for name in frame.columns if _INDEX.match(name)])


def as_polars(table: Any) -> Any:
    """The frame of Polars of an Arrow table that was read."""
    import polars as pl

    frame: Any = pl.from_arrow(_without_numbers_as_keys(frames.stored(table)))
    return frame.drop([name for name in frame.columns if _INDEX.match(name)])


def empty(folder: Path) -> Any:
    """The table of an artifact without its rows and its index, as Arrow has it: its types, with all categories.

    Raises:
        ArtifactError: when there is no table in *folder*.
    """
    import pyarrow as pa

    path = _file(folder)
    if path.suffix == ".parquet":
        return _without_index(_schema(path).empty_table())
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        batches = [reader.get_batch(0).slice(0, 0)] if reader.num_record_batches else []
        return _without_index(pa.Table.from_batches(batches, reader.schema))


def first_rows(folder: Path, count: int) -> Any:
    """The first rows of an artifact's table, without its index, as Arrow has them."""
    import pyarrow as pa
    from pyarrow import parquet

    path = _file(folder)
    if path.suffix == ".parquet":
        batches = parquet.ParquetFile(path).iter_batches(batch_size=count)
        first = next(iter(batches), None)
        return _without_index(_schema(path).empty_table() if first is None else pa.Table.from_batches([first]))
    with pa.memory_map(str(path)) as source:
        return _without_index(pa.ipc.open_file(source).read_all().slice(0, count))


def _without_numbers_as_keys(table: Any) -> Any:
    """The table with dictionaries of strings only: Polars has categories of nothing else."""
    import pyarrow as pa

    for n, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and kind.value_type not in (pa.string(), pa.large_string()):
            table = table.set_column(n, field.name, table.column(n).cast(kind.value_type))
    return table


def _single(table: Any, kind: str) -> Any:
    """The table, if it has one column."""
    if table.shape[1] != 1:
        raise ArtifactError(
            f"a table of {table.shape[1]} columns cannot be read as {kind}",
            fix="ask for a data frame in the step's signature, or hand on one column",
        )
    return table
