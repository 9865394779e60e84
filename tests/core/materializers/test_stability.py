"""The same values give the same bytes: in other processes, under other hash seeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WRITE = """
import dataclasses, datetime, enum, hashlib, sys
from pathlib import Path
from uuid import UUID

import numpy as np, pandas as pd, polars as pl, pyarrow as pa, plotly.graph_objects as go, pydantic
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
import values

rng = np.random.default_rng(0)
rows, target = rng.random((60, 3)), rng.integers(0, 2, 60)
frame = pd.DataFrame({"f": rng.random(1000), "s": [f"n{i % 7}" for i in range(1000)], "b": [True, None] * 500})
figure = Figure(figsize=(2, 2))
figure.subplots().scatter(rows[:, 0], rows[:, 1])
cases = {
    "json": {"tags": {"b", "a", "c"}, "k": frozenset({1, "x", None}), "id": UUID(int=1), "t": (datetime.date(2026, 1, 1),)},
    "dataclass": values.Report({"z", "y", "x"}, values.Kind.B, {"one": frame.head(3)}),
    "pydantic": values.Model(tags={"q", "p"}, names={"b": 1, "a": 2}),
    "array": rows,
    "frame": frame,
    "categories": frame.astype({"s": "category"}),
    "indexed": frame.set_index("s"),
    "series": frame["f"],
    "polars": pl.DataFrame({"f": rows[:, 0], "c": pl.Series(["u", "v", None] * 20, dtype=pl.Categorical)}),
    "arrow": pa.table({"d": pa.array(["u", "v", None] * 20).dictionary_encode(), "i": range(60)}),
    "forest": RandomForestClassifier(3, random_state=0).fit(rows, target),
    "pipeline": make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=3, random_state=0)).fit(rows, target),
    "figure": figure,
    "plotly": go.Figure(go.Scatter(x=rows[:, 0], y=rows[:, 1])),
    "pickle": values.Opaque(3),
}
for name, value in cases.items():
    folder = Path(sys.argv[1]) / name
    folder.mkdir(parents=True)
    materializer = next(Materializers(BUILTIN).candidates(value))
    materializer.save(value, folder)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        print(name, materializer.name, path.relative_to(folder), hashlib.sha256(path.read_bytes()).hexdigest())
"""

VALUES = """
import dataclasses, enum, re
from typing import Any
import pydantic

class Kind(enum.Enum):
    A = 1
    B = 2

@dataclasses.dataclass
class Report:
    tags: set
    kind: Kind
    tables: dict

class Model(pydantic.BaseModel):
    tags: set[str]
    names: dict[str, int]

class Opaque:
    def __init__(self, size):
        self.size, self.pattern = size, re.compile("a+")
"""


def written(folder: Path, out: str, seed: str) -> list[str]:
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "MPLBACKEND": "Agg"}
    environment["MPLCONFIGDIR"] = str(folder / "mpl")
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder / out)], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    folder = tmp_path_factory.mktemp("stability")
    (folder / "values.py").write_text(VALUES)
    return [written(folder, f"run{seed}", seed) for seed in ("1", "4711")]


def test_every_form_is_stable_across_processes_and_hash_seeds(runs: list[list[str]]) -> None:
    first, second = runs
    assert first == second


def test_the_cases_cover_every_materializer_that_promises_it(runs: list[list[str]]) -> None:
    used = {line.split()[1] for line in runs[0]}
    assert used == {"json", "dataclass", "pydantic", "numpy", "table", "sklearn", "figure", "plotly", "pickle"}
