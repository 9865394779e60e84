"""Tables of any library: columns taken out as Arrow arrays, and arrays appended as columns."""

from __future__ import annotations

from typing import Any

from turnout.base.errors import RunError


def names(table: Any) -> list[Any]:
    """The names of a table's columns; pyarrow's ``columns`` are the columns themselves."""
    return list(table.column_names if hasattr(table, "column_names") else getattr(table, "columns", ()))


def column(table: Any, name: str) -> Any:
    """A column of a pandas, Polars or pyarrow table as an Arrow array.

    Raises:
        RunError: when the table has none of that name, or is no table, or the column is no column of Arrow's types.
    """
    import pyarrow as pa

    columns = names(table)
    if name not in columns:
        raise RunError(
            f"the table has no column {name!r}",
            why=f"its columns are {', '.join(map(str, columns))}" if columns else f"it is a {type(table).__name__}",
            fix="give the feature look-up a table with the columns of keys, time and inputs",
        )
    library = _library(table)
    if library == "pyarrow":
        return table[name]
    if library == "polars":
        return table[name].to_arrow()
    series = table[name]
    try:
        if getattr(series.dtype, "tz", None) is not None:
            return pa.array(series.dt.tz_convert(None)).cast(pa.timestamp(series.dtype.unit, "UTC"))
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RunError(
            f"the column {name!r} of the table holds values of several types", why=str(error), fix="convert it to one"
        ) from None


def with_columns(table: Any, columns: dict[str, Any]) -> Any:
    """The table, of its own kind, with Arrow arrays appended as columns."""
    library = _library(table)
    if library == "pandas":
        import pandas as pd

        added = {name: array.to_pandas().set_axis(table.index) for name, array in columns.items()}
        return pd.concat([table, pd.DataFrame(added, index=table.index)], axis=1)
    if library == "polars":
        import polars as pl

        return table.with_columns(**{name: pl.from_arrow(array) for name, array in columns.items()})
    import pyarrow as pa

    added = pa.table(columns)
    fields = [*table.schema, *added.schema]
    return pa.Table.from_arrays([*table.columns, *added.columns], schema=pa.schema(fields, table.schema.metadata))


def _library(table: Any) -> str:
    return type(table).__module__.partition(".")[0]
