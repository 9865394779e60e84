"""The flights example's features on Feast and on the local store: the same table, and the same model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
"""The project's own environment, with a pandas that Feast cannot take: Feast runs in a process of its own."""
LEARN = """
import pickle
import pandas as pd
from from_store import answered, ask, weather
from pipeline import add_traffic, fit, load, predict, split, validate
from turnout.api.workspace import Workspace
from turnout.features import retrieval

departures, _ = validate(*load(rows=6000))
shuffled = ask(departures).sample(frac=1, random_state=7)
asked = {"entity": weather.entity, "timestamp": weather.timestamp}
tables, models = [], []
for stack in ("features", "feast"):
    store = Workspace.here(stack).feature_store
    joined = retrieval.historical(store, shuffled, weather.features, **asked)
    assert joined["temp"].notna().mean() > 0.9
    tables.append(joined)
    train, test = split(add_traffic(answered(joined.sort_index())), test_from=pd.Timestamp("2013-10-01"))
    model = fit(train, depth=4, iterations=8, seed=7)
    models.append((pickle.dumps(model), predict(model, test).tolist()))
pd.testing.assert_frame_equal(*tables, check_exact=True)
assert list(tables[1].index) == list(shuffled.index) != sorted(shuffled.index)
assert models[0] == models[1]
print(store.place)
"""


def test_the_flights_are_learned_from_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total

    if not PYTHON.exists():
        pytest.skip("make test makes the environment that steps run in")
    example = tmp_path / "flights"
    ignored = shutil.ignore_patterns(".turnout", "__pycache__", "views", "*.db")
    shutil.copytree(ROOT / "examples" / "flights", example, ignore=ignored)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTEST"))}
    subprocess.run([PYTHON, "-m", "delays.views"], cwd=example, env=environ, check=True)
    repo, stack = example / "feature_repo", example / "stacks" / "feast.yaml"
    monkeypatch.chdir(repo)
    monkeypatch.syspath_prepend(repo)
    apply_total(load_repo_config(repo, repo / "feature_store.yaml"), repo, skip_source_validation=False)
    stack.write_text(stack.read_text().replace("feature_repo}", f"feature_repo, python: {sys.executable}}}"))
    done = subprocess.run(
        [PYTHON, "-W", "error", "-c", LEARN], cwd=example, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"in a process of its own ({sys.executable})" in done.stdout
