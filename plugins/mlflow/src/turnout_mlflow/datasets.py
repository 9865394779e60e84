"""Data sets: the tables that a step read, as inputs of its run in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from turnout.plugin_api import Artifact, Traced
from turnout_mlflow import tables

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

_AT_ONCE = 50
_DIGEST = 32
_COLUMNS = 1000
"""MLflow refuses a schema of more than a million characters."""


def is_table(artifact: Artifact) -> bool:
    """Whether an artifact is a table, or a file that may be one."""
    return artifact.materializer in {"table", "file"}


def log(client: MlflowClient, run: str, label: str, inputs: Sequence[Traced]) -> None:
    """Make the tables among a step's inputs those of a run; MLflow keeps one of a name and digest."""
    from mlflow.exceptions import MlflowException

    found = list(_inputs(label, inputs))
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        try:
            client.log_inputs(run, datasets=part)
        except MlflowException:
            client.log_inputs(run, datasets=part)  # another worker has just made one of them


def _inputs(label: str, inputs: Sequence[Traced]) -> Iterator[DatasetInput]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for item in inputs:
        table = tables.read(item.files())
        if table is None:
            continue
        source = urlsplit(item.address).scheme or "local"
        made = f"{item.step}.{item.output}" if item.step else item.output
        yield DatasetInput(
            Dataset(
                name=made or item.name,
                digest=item.artifact.digest[:_DIGEST],
                source_type=source,
                source=json.dumps({"uri": item.address}),
                schema=json.dumps({"mlflow_colspec": _columns(table.schema)}),
                profile=json.dumps({"num_rows": table.rows, "num_elements": table.rows * len(table.schema)}),
            ),
            [InputTag("mlflow.data.context", f"{label}({item.name})")],
        )


def _columns(schema: pa.Schema) -> list[dict[str, Any]]:
    return [
        {"type": _type(field.type), "name": field.name, "required": not field.nullable}
        for field in list(schema)[:_COLUMNS]
    ]


def _type(given: pa.DataType) -> str:
    """The nearest of the types that MLflow's schemas know; what is none of them is shown as a text."""
    import pyarrow.types as kinds

    known = {
        "boolean": kinds.is_boolean,
        "long": lambda one: kinds.is_int64(one) or kinds.is_uint32(one) or kinds.is_uint64(one),
        "integer": kinds.is_integer,
        "float": lambda one: kinds.is_float32(one) or kinds.is_float16(one),
        "double": kinds.is_floating,
        "datetime": lambda one: kinds.is_timestamp(one) or kinds.is_date(one),
        "binary": lambda one: kinds.is_binary(one) or kinds.is_large_binary(one),
    }
    return next((name for name, fits in known.items() if fits(given)), "string")
