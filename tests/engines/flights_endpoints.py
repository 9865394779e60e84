"""Endpoints of the flights example, of one step and of three, and what the local deployer predicts by them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from pod import ROOT

from turnout.artifacts.artifacts import Artifacts
from turnout.components.kinds import MATERIALIZER
from turnout.components.registry import discover
from turnout.materializers.choice import Materializers
from turnout.model.endpoint_plan import EndpointPlan, decode
from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.serving.tables import stored_rows
from turnout.stores.local import LocalStore

ENDPOINTS = '''
import numpy as np
import pandas as pd

from pipeline import flights, predict
from turnout import endpoint, step


@step
def marked(departures: pd.DataFrame) -> pd.DataFrame:
    """A table with types that JSON has not: categories, times, a column of whole numbers with nulls."""
    return departures.assign(
        carrier=departures["carrier"].astype("category"), night=(departures["hour"] < 6).astype("Int64")
    )


@step
def told(
    departures: pd.DataFrame, table: pd.DataFrame, delays: np.ndarray, *, minutes: float = 15.0
) -> pd.DataFrame:
    assert str(table["carrier"].dtype) == "category" and str(table["night"].dtype) == "Int64"
    assert table["scheduled"].dtype == departures["scheduled"].dtype
    return pd.DataFrame({"delay": delays, "late": delays > minutes, "night": table["night"]})


@endpoint(flights, like={"departures": "split.test"}, without={"departures": ["arr_delay"]})
def lateness(departures: pd.DataFrame, minutes: float = 15.0):
    table = marked(departures)
    return told(departures, table, predict(flights["fit"], table), minutes=minutes)
'''
PLAN = """
import sys
from {module} import {name}
deployment = {name}.prepare()
deployment.publish()
sys.stdout.buffer.write(deployment.plan.encode())
"""


class Served(NamedTuple):
    """An endpoint: its plan and store, rows of the pipeline's, and what the local deployer predicts for them."""

    plan: EndpointPlan
    store: LocalStore
    rows: list[dict[str, Any]]
    predictions: list[Any]

    @property
    def body(self) -> dict[str, Any]:
        """A request."""
        return self.request(self.rows)

    def request(self, rows: list[Any]) -> dict[str, Any]:
        """A request of other rows."""
        assert self.plan.table is not None
        return {self.plan.table.name: rows}

    @property
    def steps(self) -> list[str]:
        """The steps' names."""
        return [step.name for step in self.plan.steps]


def flights_project(parent: Path) -> Path:
    """The flights example with endpoints, and a run of a few flights."""
    folder = parent / "flights"
    ignored = shutil.ignore_patterns(".turnout", "__pycache__", ".pytest_cache")
    shutil.copytree(ROOT / "examples" / "flights", folder, ignore=ignored)
    (folder / "serving.py").write_text(ENDPOINTS)
    command = [sys.executable, "-m", "turnout.cli", "run", "pipeline.py", "-p", "rows=4000", "-p", "iterations=20"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def serve(project: Path, folder: Path, module: str, name: str) -> Served:
    """Plan an endpoint of the project, and ask the local deployer about stored rows.

    Args:
        folder: for what the local deployer keeps.
        module: that of the project which has the endpoint.
    """
    script = PLAN.format(module=module, name=name)
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    plan, store = decode(done.stdout), LocalStore.from_url(str(project / ".turnout" / "store"))
    artifacts = Artifacts(store, Materializers(discover().all(MATERIALIZER)), folder)
    assert plan.table is not None
    assert plan.table.like is not None
    rows = stored_rows(artifacts.local_folder(plan.table.like), [one.name for one in plan.table.columns or ()])
    rows = json.loads(json.dumps(rows, default=str))
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(folder / name)))
    try:
        deployer.deploy(plan, deployer.compile(plan), store)
        predictions = list(deployer.predict(name, rows))
    finally:
        deployer.delete(name)
    return Served(plan, store, rows, predictions)
