"""The Python interface: runs started, found and looked into; from a module and from the cells of a notebook."""

import datetime as dt
import sys
import types

import pandas as pd
import pytest
from projects import HERE, IN_PROCESS, project_fixture

import turnout
from turnout.base.errors import ArtifactError, ConfigError, RunError

MODULE = '''\
from datetime import datetime
from typing import Annotated

import pandas as pd

from turnout import LOGICAL_TIME, File, log_metric, pipeline, step, when


@step
def load(path: File) -> pd.DataFrame:
    return pd.read_csv(path)


@step
def split(rows: pd.DataFrame) -> tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "test"]]:
    return rows.iloc[:2].reset_index(drop=True), rows.iloc[2:].reset_index(drop=True)


@step
def fit(train: pd.DataFrame, *, depth: int, day: datetime) -> dict:
    """Fit."""
    if depth < 0:
        raise ValueError("a tree has no negative depth")
    log_metric("depth", depth)
    train["added"] = 1  # nobody else sees it
    return {"mean": float(train["x"].mean()) * depth, "day": day.isoformat()}


@step
def parts(test: pd.DataFrame) -> list[int]:
    return [int(x) for x in test["x"]]


@step
def score(part: int, *, model: dict) -> float:
    log_metric("score", part)
    return part * model["mean"]


@step
def total(scores: list[float]) -> float:
    return sum(scores)


@step
def tell(result: float) -> str:
    return f"{result:g}"


@pipeline(tags={"team": "ops"})
def trees(path: File = "rows.csv", depth: int = 2, limit: float = 0.0, day: datetime = LOGICAL_TIME):
    train, test = split(load(path))
    model = fit(train, depth=depth, day=day)
    result = total(score.map(parts(test), model=model))
    with when(result > limit):
        tell(result)
'''


module = project_fixture(
    {"stacks/here.yaml": IN_PROCESS, "rows.csv": "x,y\n1,1\n3,2\n5,3\n7,4\n", "forest.py": MODULE},
    scope="module",
    name="forest",
    dependencies=(),
    more=HERE,
    module="forest",
)
"""Its pipeline runs in this process, on the project's own store."""


@pytest.fixture(scope="module")
def run(module):
    return module.trees.run(at="2026-01-02T03:04:05Z", tags={"tier": "1"})


def test_a_run_has_its_parameters_state_and_metrics(run):
    assert run.state == "succeeded"
    assert run.params["depth"] == 2
    assert run.params["path"]["suffix"] == ".csv"
    assert run.params["path"]["name"] == "rows.csv"
    assert run.info.options.tags == {"team": "ops", "tier": "1"}
    assert run.metrics == {"depth": 2.0, "score": 7.0}
    assert run["fit"].metrics == {"depth": 2.0}
    assert run["score"].metrics == {"score": 7.0}
    assert repr(run) == f"<run {run.id} of trees: succeeded>"
    assert [step.name for step in run][:3] == ["load", "split", "fit"]


def test_outputs_are_loaded_by_name(run):
    assert run["fit"].load() == {"mean": 4.0, "day": "2026-01-02T03:04:05+00:00"}
    assert run["split"].load("test")["x"].tolist() == [5, 7]
    assert run["score"].load() == [20.0, 28.0]
    assert run["score.1"].load() == 28.0
    assert run["when_1"].load() is True
    assert run["tell"].load() == "48"
    assert run["split"].outputs["train"].load()["x"].tolist() == [1, 3]


def test_inputs_are_what_the_step_was_given(run):
    train = run["fit"].inputs["train"].load()
    assert list(train.columns) == ["x", "y"]
    pd.testing.assert_frame_equal(train, run["split"].load("train"))
    assert run["score.0"].inputs["part"].load() == 5
    assert run["score.0"].inputs["model"].load() == run["fit"].load()
    assert run["total"].inputs["scores"].load() == [20.0, 28.0]
    assert set(run["fit"].inputs) == {"train"}
    assert run["fit"].record.inputs["depth"].value == 2
    assert run["fit"].inputs["train"].digests == run["split"].outputs["train"].digests


def test_a_value_is_read_anew_at_each_load(run):
    rows = run["split"].load("train")
    rows["x"] = 0
    assert run["split"].load("train")["x"].tolist() == [1, 3]


def test_what_is_not_there(run, snapshot):
    said = []
    for wrong in (
        lambda: run["fti"],
        lambda: run["fit.0"],
        run["split"].load,
        lambda: run["split"].load("tset"),
        lambda: run["score.2"].load("output"),
        lambda: run["score"].record,
    ):
        with pytest.raises((ConfigError, RunError)) as caught:
            wrong()
        said.append(str(caught.value).replace(run.id, "RUN").replace(run.id[:8], "RUN"))
    assert "\n".join(said) == snapshot


def test_a_run_is_found_again(module, run):
    assert turnout.Run(run.id).info == run.info
    assert turnout.Run(run.id[:8]).id == run.id
    assert run.id in {found.id for found in turnout.runs("trees")}
    assert [found.id for found in turnout.runs(tags={"tier": "1"})] == [run.id]
    assert turnout.runs("trees", tags={"tier": "2"}) == []
    assert turnout.runs("other") == []
    with pytest.raises(ConfigError, match="has no run 'zzz'"):
        turnout.Run("zzz")


def test_the_newest_run_is_first(module):
    newest = module.trees.run(depth=3)
    assert turnout.runs()[0].id == turnout.Run("latest").id == newest.id


def test_a_skipped_step(module):
    run = module.trees.run(limit=1000.0)
    assert run.state == "succeeded"
    assert run["tell"].state == "skipped"
    assert run["when_1"].load() is False
    with pytest.raises(RunError, match=r"tell was skipped in the run .*\n  why: the guard when_1 was false"):
        run["tell"].load()


def test_a_failed_run_raises_the_users_own_exception_as_the_cause(module):
    with pytest.raises(
        RunError, match="of trees failed\n  why: fit: ValueError: a tree has no negative depth"
    ) as caught:
        module.trees.run(depth=-1)
    assert isinstance(caught.value.__cause__, ValueError)
    run = caught.value.run
    assert run.state == "failed"
    assert {name: run[name].state for name in ("load", "fit", "score", "total")} == {
        "load": "succeeded",
        "fit": "failed",
        "score": "not run",
        "total": "not run",
    }
    with pytest.raises(RunError, match="fit failed in the run"):
        run["fit"].load()
    with pytest.raises(RunError, match="score is not complete"):
        run["score"].load()


def test_reuse_takes_over_all_but_a_step_and_its_descendants(module, run):
    again = module.trees.run(reuse=run, from_="fit", depth=5)
    assert again["fit"].load()["mean"] == 10.0
    assert {
        step.name for step in again if step.summary and step.summary.record and step.summary.record.reused_from
    } == {
        "load",
        "split",
        "parts",
    }
    only = module.trees.run(reuse=run.id[:8], only=["tell"])
    assert only["tell"].record.reused_from is None
    assert only["total"].record.reused_from == f"{run.id}/total"


def test_a_step_is_replaced_by_a_value(module, run):
    other = pd.DataFrame({"x": [100, 300], "y": [1, 2]})
    replaced = module.trees.run(replace={"load": pd.concat([other, other])})
    assert replaced["fit"].load()["mean"] == 400.0
    assert replaced["load"].record.reused_from == "replace"
    both = module.trees.run(replace={"split": {"train": other, "test": other}})
    assert both["score"].load() == [40000.0, 120000.0]
    with pytest.raises(ConfigError, match=r"split has the outputs train, test, .*\n  fix: "):
        module.trees.run(replace={"split": other})
    with pytest.raises(ConfigError, match=r"trees has no step 'lod'\. Did you mean 'load'\?"):
        module.trees.run(replace={"lod": other})
    with pytest.raises(ArtifactError, match="is of type dict, but"):
        module.trees.run(replace={"load": {}})


def test_times_and_parameters(module):
    run = module.trees.run(at=dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc), params={"depth": "4"}, limit=1)
    assert run.params["depth"] == 4
    assert run["fit"].load()["day"] == "2026-05-01T00:00:00+00:00"
    with pytest.raises(ConfigError, match=r"has no parameter 'dept'\. Did you mean 'depth'\?"):
        module.trees.run(dept=3)
    with pytest.raises(ConfigError, match=r"takes an int, not 3\.5"):
        module.trees.run(depth=3.5)
    with pytest.raises(ConfigError, match="the logical time 'noon' cannot be read"):
        module.trees.run(at="noon")


def test_submit_returns_at_once(module):
    run = module.trees.submit(depth=1, stack="local")
    state = run.wait(60)
    assert state == run.state == "succeeded"
    assert run["fit"].load()["mean"] == 2.0


CELLS = [
    "import pandas as pd\nfrom turnout import pipeline, step\nfactor = 3\nseen = []",
    "def times(x):\n    return x * factor",
    "@step\ndef make(n: int) -> pd.DataFrame:\n    return pd.DataFrame({'x': [times(i) for i in range(n)]})",
    "@step\ndef add(rows: pd.DataFrame) -> int:\n    return int(rows['x'].sum())",
    "@pipeline\ndef notebook(n: int = 4):\n    add(make(n))",
]


@pytest.mark.parametrize("stack", ["here", "local"])
def test_cells_of_a_notebook_travel_by_value(module, monkeypatch, stack):
    cells = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", cells)
    for number, cell in enumerate(CELLS):
        exec(compile(cell, f"<cell {number}>", "exec"), cells.__dict__)
    run = cells.notebook.run(stack=stack)
    assert run["add"].load() == 18
    assert all(step.plan.entrypoint.value for step in run)
    exec("factor = 5", cells.__dict__)
    assert cells.notebook.run(stack="here")["add"].load() == 30
    assert cells.add(pd.DataFrame({"x": [1, 2]})) == 3


def test_a_run_draws_itself(run):
    pytest.importorskip("fast_sugiyama", reason="there is no fast-sugiyama for this Python", exc_type=ImportError)
    drawn = run._repr_html_()
    assert drawn.startswith("<")
    for name in ("load", "split", "when_1", "tell"):
        assert f">{name}</text>" in drawn
    assert "<script" not in drawn
