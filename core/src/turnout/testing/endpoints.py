"""An endpoint to try deployers on: a pipeline that ran, and an endpoint of it with rows, answers and rows to refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from turnout.components.artifact_store import ArtifactStore
from turnout.model.endpoint_plan import EndpointPlan, decode
from turnout.stores.local import LocalStore

_PROJECT = '[project]\nname = "served"\nversion = "0"\n[tool.turnout]\nstack = "local"\n'
PIPELINE = '''\
import pyarrow as pa

from turnout import endpoint, pipeline, step


@step
def table() -> pa.Table:
    schema = pa.schema([pa.field("x", pa.float64(), nullable=False), ("name", pa.string())])
    return pa.table({"x": [1.0, 2.0, 3.0], "name": ["one", "two", "three"]}, schema=schema)


@step
def fit(rows: pa.Table) -> float:
    return 2.0


@step
def scaled(rows: pa.Table, factor: float, *, plus: float = 0.0) -> list:
    return [x * factor + plus for x in rows.column("x").to_pylist()]


@pipeline
def train():
    fit(table())


@endpoint(train, like={"rows": "table"}, without={"rows": ["name"]})
def double(rows: pa.Table, plus: float = 0.0):
    """Doubles a number."""
    return scaled(rows, train["fit"], plus=plus)
'''
_MODULE = "turnout_suite_endpoint"
"""A name of its own: a deployer may answer in the process that asks, which may have imported another `pipeline`."""
_SCRIPT = f"""\
import sys
sys.path.insert(0, "")
import {_MODULE}
if __name__ == "__main__":
    {_MODULE}.train.run()
    deployment = {_MODULE}.double.prepare()
    deployment.publish()
    sys.stdout.buffer.write(deployment.plan.encode())
"""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint to try a deployer on: its plan and store, rows with the predictions due, and rows to refuse."""

    endpoint: EndpointPlan
    store: ArtifactStore[Any]
    rows: list[dict[str, Any]]
    predictions: list[Any]
    bad_rows: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.name


def make_served(folder: Path, pipeline: str = PIPELINE) -> Served:
    """Run a small pipeline in the project that is made in *folder*, and plan an endpoint of it.

    Args:
        pipeline: the project's code, where it is to differ; called for a folder again, both versions have one store.
    """
    (folder / "pyproject.toml").write_text(_PROJECT)
    (folder / f"{_MODULE}.py").write_text(pipeline)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        check=False,
        cwd=folder,
        capture_output=True,
        env={**os.environ, "TURNOUT_STACK": "local"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return Served(
        endpoint=decode(done.stdout),
        store=LocalStore.from_url(str(folder / ".turnout" / "store")),
        rows=[{"x": 1.0}, {"x": 2.5}],
        predictions=[2.0, 5.0],
        bad_rows=[{}, {"x": "two"}, {"x": None}, {"x": 1.0, "y": 1.0}],
    )
