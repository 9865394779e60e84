"""What steps answer, as JSON: one value for each row, or one for the request."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.base.errors import RunError
from turnout.materializers.classes import name_of
from turnout.materializers.table import ARROW, PANDAS, PANDAS_SERIES, POLARS, POLARS_SERIES


class Answer(msgspec.Struct, frozen=True):
    """The answer to one request: ``predictions``, one a row, or, of an endpoint without rows, ``prediction``.

    A row's value is a number, text, bool, null, list or object; NaN and infinities are null, for JSON has none.
    """

    values: Any
    by_row: bool

    @property
    def document(self) -> dict[str, Any]:
        """The answer as ``POST /predict`` gives it."""
        return {"predictions" if self.by_row else "prediction": self.values}


def encoded(value: Any, rows: int | None, step: str) -> Answer:
    """The answer that *value* is.

    Args:
        rows: how many rows were asked about; None where the endpoint takes no table.
        step: the name of the step that made it, for an error.

    Raises:
        RunError: when there is not one value for each row, or JSON cannot hold it.
    """
    values = plain(value)
    if rows is None:
        return Answer(values, by_row=False)
    if not isinstance(values, list) or len(values) != rows:
        count = f"{len(values)} values" if isinstance(values, list) else f"a {type(value).__name__}"
        raise RunError(
            f"the step {step} was given {rows} rows and answered with {count}",
            fix="return one value for each row: an array, a series, a list or a table",
        )
    return Answer(values, by_row=True)


def plain(value: Any) -> Any:
    """A value as an answer has it: of a table an object for each row, of what has one value for each row a list."""
    kind = name_of(type(value))
    if kind in PANDAS:
        columns = [_column(value.iloc[:, n]) for n in range(value.shape[1])]
        names = [str(name) for name in value.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if kind in PANDAS_SERIES:
        return _column(value)
    if kind in POLARS:
        return value.to_dicts()
    if kind in POLARS_SERIES:
        return value.to_list()
    if kind in ARROW:
        return value.to_pylist()
    if kind.partition(":")[0].startswith("numpy"):
        return value.tolist()
    return list(value) if isinstance(value, (tuple, range)) else value


def _column(series: Any) -> list[Any]:
    """The values of a pandas series; what is missing is null, of floats once it is JSON."""
    if getattr(series.dtype, "kind", "O") in "iufb" and not hasattr(series.dtype, "na_value"):
        values: list[Any] = series.to_numpy().tolist()
        return values
    return [None if missing else value for value, missing in zip(series.tolist(), series.isna().tolist(), strict=True)]
