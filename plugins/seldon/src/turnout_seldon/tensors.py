"""Rows as tensors of the Open Inference Protocol, and back: what servers of Seldon Core v2 take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.plugin_api import DeployError

Document = dict[str, Any]


def inputs(rows: Sequence[Mapping[str, Any]]) -> list[Document]:
    """A tensor for each column.

    Raises:
        DeployError: for rows that have other columns than the first.
    """
    names = list(rows[0])
    for n, row in enumerate(rows):
        if set(row) != set(names):
            other = sorted(set(row) ^ set(names))
            raise DeployError(
                f"rows[{n}] has other columns than rows[0]: {', '.join(map(str, other))}",
                why="the protocol sends a tensor a column, with a value for each row",
                fix="give all rows the same columns; null where one has no value",
            )
    return [_tensor(name, [row[name] for row in rows]) for name in names]


def predictions(answer: Document) -> list[Any]:
    """One value a row, of an answer's tensors; a row of several where there are several tensors."""
    outputs = answer["outputs"]
    if len(outputs) == 1:
        return list(outputs[0]["data"])
    columns = {one["name"]: one["data"] for one in outputs}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _tensor(name: str, values: list[Any]) -> Document:
    kinds = {type(value) for value in values if value is not None}
    datatype = "BYTES"
    if kinds == {bool}:
        datatype = "BOOL"
    elif kinds == {int}:
        datatype = "INT64"
    elif kinds and kinds <= {int, float}:
        datatype = "FP64"
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}
