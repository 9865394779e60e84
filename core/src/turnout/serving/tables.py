"""Rows of a request as the table that a step takes: columns and types as in training, or an error that names them."""

from __future__ import annotations

import base64
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, did_you_mean
from turnout.materializers import frames, table
from turnout.model.endpoint_plan import Request
from turnout.serving.columns import Convert, Refused, converter
from turnout.serving.pandas import Pandas

STORED = 8
"""How many rows of the table that requests are like an endpoint is tried on, at most."""
DEPTH = 20
"""How deep the values of columns of any type are nested: to find their types takes time that grows with it."""


class BadRequest(Exception):
    """A request that the endpoint refuses: what is wrong, and where in it (``rows[3].distance``)."""

    def __init__(self, what: str, where: str = "", *, status: int = 422) -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.what = what
        self.where = where
        self.status = status


class TableReader:
    """Makes the tables of one request parameter, of the library that its type names."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.name = request.name
        names = (request.type.name, *request.type.bases)
        self.polars = any(name in table.POLARS + table.LAZY for name in names)
        self.arrow = any(name in table.ARROW for name in names)
        self._empty = None
        self._pandas: Pandas | None = None
        self._converters: dict[str, Convert] = {}
        self._nullable: dict[str, bool] = {}
        self._codes: dict[str, dict[Any, int]] = {}
        if request.prototype:
            self._empty = table_of(request)
            declared = {column.name: column for column in request.columns or ()}
            if not (self.arrow or self.polars):
                self._pandas = Pandas(frames.to_pandas(self._empty))
            for field, column in zip(self._empty.schema, self._empty.columns, strict=True):
                self._converters[field.name] = converter(field.type)
                self._nullable[field.name] = declared[field.name].nullable
                if (kinds := _categories(column)) is not None:
                    self._codes[field.name] = {value: n for n, value in enumerate(kinds)}

    def of_rows(self, rows: Any) -> Any:
        """The table of rows, an object each.

        Raises:
            BadRequest: when they are not rows of the endpoint's columns.
        """
        if not isinstance(rows, list):
            raise BadRequest("takes a list of rows, an object each", self.name)
        for n, row in enumerate(rows):
            if not isinstance(row, dict):
                raise BadRequest("takes an object, a column by its name each", f"{self.name}[{n}]")
        if self._empty is None:
            names = list(dict.fromkeys(name for row in rows for name in row))
            if rows and not names:
                raise BadRequest("has no column", f"{self.name}[0]")
        else:
            names = list(self._converters)
            for n, row in enumerate(rows):
                if row.keys() != self._converters.keys():
                    self._check_names(row, f"{self.name}[{n}]")
        return self.of_columns({name: [row.get(name) for row in rows] for name in names})

    def of_columns(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        """The table of columns, each a list of values, all of one length.

        Raises:
            BadRequest: when they are not the endpoint's columns.
        """
        import pyarrow as pa

        if self._empty is None:
            if any(_is_deep(value, DEPTH) for values in columns.values() for value in values):
                raise BadRequest(f"takes lists and objects within each other up to {DEPTH} levels", self.name)
            try:
                return self._made(pa.table({name: list(values) for name, values in columns.items()}))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise BadRequest(f"is no table: {error}", self.name) from None
        self._check_names(columns, self.name)
        values = {field.name: self._converted(field.name, columns[field.name]) for field in self._empty.schema}
        if self._pandas is not None and (frame := self._pandas.frame(values)) is not None:
            return frame
        arrays = [self._array(field, values[field.name]) for field in self._empty.schema]
        return self._made(pa.Table.from_arrays(arrays, schema=self._empty.schema))

    def _check_names(self, columns: Mapping[str, Any], where: str) -> None:
        for name in columns:
            if name not in self._converters:
                guess = did_you_mean(name, self._converters)
                raise BadRequest(f"has no column {_shown(name)}. {guess}".rstrip(" ."), where)
        missing = [name for name in self._converters if name not in columns]
        if missing:
            raise BadRequest(f"lacks {', '.join(repr(name) for name in missing)}", where)

    def _converted(self, column: str, values: Sequence[Any]) -> list[Any]:
        """The values of a column as its type has them; of categories their numbers."""
        convert, codes = self._converters[column], self._codes.get(column)
        made: list[Any] = []
        for n, value in enumerate(values):
            if value is None:
                if not self._nullable[column]:
                    raise BadRequest("takes no null", f"{self.name}[{n}].{column}")
                made.append(None)
                continue
            try:
                one = convert(value)
            except Refused as refused:
                raise BadRequest(f"{refused}, not {_shown(value)}", f"{self.name}[{n}].{column}") from None
            if codes is not None:
                if one not in codes:
                    raise BadRequest(f"has no category {_shown(value)}", f"{self.name}[{n}].{column}")
                one = codes[one]
            made.append(one)
        return made

    def _array(self, field: Any, values: list[Any]) -> Any:
        import pyarrow as pa

        assert self._empty is not None
        try:
            if field.name not in self._codes:
                return pa.array(values, field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise BadRequest(f"takes {field.type}: {error}", f"{self.name}[…].{field.name}") from None
        categories = self._empty.column(field.name).chunk(0).dictionary
        return pa.DictionaryArray.from_arrays(
            pa.array(values, field.type.index_type), categories, ordered=field.type.ordered
        )

    def _made(self, arrow: Any) -> Any:
        import pyarrow as pa

        if self.arrow:
            return table.as_written(arrow)
        if self.polars:
            return table.as_polars(arrow)
        try:
            return frames.to_pandas(arrow)
        except (pa.ArrowException, ValueError, OverflowError) as error:  # times that pandas has no types for
            raise BadRequest(f"is no table of pandas: {error}", self.name) from None


def table_of(request: Request) -> Any:
    """The table without rows of a request that has columns.

    Raises:
        ConfigError: when the plan holds none that can be read.
    """
    return _read(request.prototype).select([column.name for column in request.columns or ()])


def prototype(empty: Any) -> str:
    """A table without rows as a plan holds it."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, empty.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([c.combine_chunks() for c in empty.columns], schema=empty.schema))
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def categories(request: Request) -> dict[str, list[Any]]:
    """The categories of a request's columns, by the columns that have some."""
    if not request.prototype:
        return {}
    empty = table_of(request)
    found = {name: _categories(empty.column(name)) for name in empty.column_names}
    return {name: values for name, values in found.items() if values is not None}


def stored_rows(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    """A few rows of an artifact's table, as requests give them: never all, so that it is seen what needs the others."""
    first = table.first_rows(folder, 2 * STORED)
    rows = first.slice(0, (first.num_rows + 1) // 2).select(columns).to_pylist()
    plain: list[dict[str, Any]] = msgspec.to_builtins(rows, builtin_types=(float,))
    return plain


def _read(text: str) -> Any:
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(base64.b64decode(text)).read_all()
    except (ValueError, pa.ArrowException) as error:
        raise ConfigError("the endpoint's plan says no columns that can be read", why=str(error)) from None


def _categories(column: Any) -> list[Any] | None:
    import pyarrow.types as of

    return column.chunk(0).dictionary.to_pylist() if of.is_dictionary(column.type) else None


def _is_deep(value: Any, most: int) -> bool:
    if not isinstance(value, (list, dict)):
        return False
    return most == 0 or any(_is_deep(one, most - 1) for one in (value.values() if isinstance(value, dict) else value))


def _shown(value: Any) -> str:
    text = reprlib.repr(value) if isinstance(value, (list, dict)) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
