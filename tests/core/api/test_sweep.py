"""Sweeps: a run for each combination, typed, tagged, some at a time, and what is said of them."""

import json
import sys
import textwrap

import pytest
from projects import IN_PROCESS, call, write_project

import turnout

FLOW = """
import time
from turnout import log_metric, pipeline, step

@step
def base(size: int) -> int:
    return size

@step
def fit(base: int, *, depth: int, rate: float) -> float:
    if depth == 13:
        raise ValueError("an unlucky depth")
    log_metric("score", base * depth * rate)
    return base * depth * rate

@pipeline
def swept(size: int = 2, depth: int = 1, rate: float = 0.5, words: str = "none"):
    fit(base(size), depth=depth, rate=rate)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path, {"sweeping.py": textwrap.dedent(FLOW), "inline.yaml": IN_PROCESS}, name="swept")


@pytest.fixture
def pipeline(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    import sweeping

    yield sweeping.swept
    del sys.modules["sweeping"]


def test_every_combination_runs_once_with_typed_parameters_and_the_sweeps_tag(pipeline):
    found = pipeline.sweep(depth=[1, 2], rate=[0.5, 1.5], stack="inline.yaml", params={"size": 4}, tags={"team": "ops"})
    assert found.succeeded
    assert [row["params"] for row in found.rows] == [
        {"depth": 1, "rate": 0.5},
        {"depth": 1, "rate": 1.5},
        {"depth": 2, "rate": 0.5},
        {"depth": 2, "rate": 1.5},
    ]
    assert [row["metrics"]["score"] for row in found.rows] == [2.0, 6.0, 4.0, 12.0]
    assert {run.params["size"] for run in found.runs} == {4}
    assert len({run.info.logical_time for run in found.runs}) == 1
    tagged = turnout.runs(tags={"sweep": found.id, "team": "ops"}, stack="inline.yaml")
    assert {run.id for run in tagged} == {row["run"] for row in found.rows}
    frame = found.to_dataframe()
    assert list(frame.columns) == ["run", "state", "depth", "rate", "score"]
    assert frame.score.max() == 12.0


def test_a_run_that_fails_stops_no_other(pipeline):
    found = pipeline.sweep(depth=[1, 13, 3], stack="inline.yaml", max_parallel=2)
    assert [row["state"] for row in found.rows] == ["succeeded", "failed", "succeeded"]
    assert not found.succeeded


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        ({"dept": [1]}, "has no parameter 'dept'. Did you mean 'depth'?"),
        ({"depth": [1, "two"]}, "depth"),
        ({"depth": []}, "no list of at least one"),
        ({"depth": "4"}, "no list of at least one"),
        ({}, "at least one parameter"),
        ({"size": [1]}, "varied and given"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_run_starts(varied, said, pipeline):
    with pytest.raises(turnout.ConfigError) as caught:
        pipeline.sweep(varied, stack="inline.yaml", params={"size": 1})
    assert said in str(caught.value)
    assert turnout.runs(stack="inline.yaml") == []


def test_the_command_runs_a_sweep_in_parallel_and_prints_a_table(folder):
    done = call(
        ".", "run", "sweeping.py", "--sweep", "depth=1,13", "--sweep", "rate=2", "--max-parallel", "2", "-p", "size=3"
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("run\tstate"))
    assert lines[head].split("\t") == ["run", "state", "depth", "rate", "score"]
    assert [line.split("\t")[1:] for line in lines[head + 1 : head + 3]] == [
        ["succeeded", "1", "2.0", "6"],
        ["failed", "13", "2.0", ""],
    ]
    tag = lines[-1].split()[-1]
    listed = json.loads(call(".", "runs", "list", "--tag", tag, "--json").stdout)
    assert {one["params"]["depth"] for one in listed} == {1, 13}
    one = next(run["run"] for run in listed if run["params"]["depth"] == 1)
    again = call(".", "run", "sweeping.py", "--reuse", one, "--only", "fit", "--sweep", "depth=4,5", "--json")
    assert again.returncode == 0, again.stderr
    document = json.loads(again.stdout)
    assert [run["metrics"]["score"] for run in document["runs"]] == [6.0, 7.5]
    steps = json.loads(call(".", "runs", "show", document["runs"][0]["run"], "--json").stdout)["steps"]
    assert [(step["step"], bool(step["reused_from"])) for step in steps] == [("base", True), ("fit", False)]


def test_values_with_commas_are_a_list_in_json(folder):
    done = call(".", "run", "sweeping.py", "--stack", "inline.yaml", "--sweep", 'words=["a,b", "c"]', "--json")
    assert done.returncode == 0, done.stderr
    assert [run["params"] for run in json.loads(done.stdout)["runs"]] == [{"words": "a,b"}, {"words": "c"}]
    wrong = call(".", "run", "sweeping.py", "--stack", "inline.yaml", "--sweep", "depth=1,x")
    assert wrong.returncode == 2
    assert "depth" in wrong.stderr
    assert call(".", "run", "sweeping.py", "--only", "fit").returncode == 2
