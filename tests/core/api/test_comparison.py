"""Runs side by side in Python: packages, what tables are like, as a data frame."""

import sys

import pytest
from projects import IN_PROCESS, write_project

import turnout
from turnout.base import canonical

FLOW = """
import pandas as pd
from turnout import log_metric, pipeline, step

@step
def rooms(count: int) -> pd.DataFrame:
    log_metric("count", count)
    log_metric("loss", float("nan"))
    return pd.DataFrame({"room": ["attic"] * count + ["cellar"], "celsius": [20.0 + n for n in range(count)] + [11.0]})

@step
def merged(rooms: pd.DataFrame) -> int:
    return len(rooms)

@pipeline
def house(count: int = 3):
    merged(rooms(count))
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    write_project(tmp_path, {"compared.py": FLOW, "stack.yaml": IN_PROCESS}, name="house", dependencies=("pandas",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURNOUT_STACK", str(tmp_path / "stack.yaml"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import compared

    yield compared.house
    del sys.modules["compared"]


def test_three_runs_are_compared_down_to_the_columns_of_their_tables(house):
    runs = [house.run(count=3, tags={"try": "a"}), house.run(count=5), house.run(count=3, tags={"try": "b"})]
    found = turnout.compare(*runs)
    rows = {(row.what, row.name): row.values for row in found.rows}
    assert rows["parameter", "count"] == (3, 5, 3)
    assert rows["tag", "try"] == ("a", None, "b")
    assert rows["metric", "count"] == (3.0, 5.0, 3.0)
    assert rows["data", "rooms.output: rows"] == (4, 6, 4)
    assert rows["data", "rooms.output.celsius: highest"] == (22.0, 24.0, 22.0)
    assert ("data", "rooms.output.celsius: lowest") not in rows
    assert ("package", "pandas") not in rows
    assert ("metric", "loss") not in rows
    assert found.diff == ""
    everything = turnout.compare(runs[0].id, "latest", everything=True)
    same = {(row.what, row.name): row.values for row in everything.rows}
    assert same["data", "rooms.output.celsius: lowest"] == (11.0, 11.0)
    assert same["package", "pandas"][0] == same["package", "pandas"][1]


def test_a_comparison_is_a_data_frame(house):
    found = turnout.compare(house.run(count=1), house.run(count=2))
    frame = found.to_dataframe()
    assert list(frame.columns) == [run.id for run in found.runs]
    assert list(frame.loc["parameter", "count"]) == [1, 2]
    assert list(frame.index.names) == ["what", "name"]
    assert "<table" in found._repr_html_()


def test_runs_that_are_the_same_have_an_empty_frame_and_one_alone_is_refused(house):
    run = house.run()
    assert turnout.compare(run, run).rows == ()
    assert turnout.compare(run, run).to_dataframe().empty
    with pytest.raises(turnout.ConfigError, match="one run alone"):
        turnout.compare(run)


def test_a_package_that_is_not_there_any_more_has_no_files(house, tmp_path):
    first, second = house.run(count=1), house.run(count=2)
    code = tmp_path / ".turnout" / "store" / "code" / first.plan.code.digest / "code.zip"
    assert canonical.digest(code.read_bytes()) == first.plan.code.digest
    code.unlink()
    assert turnout.compare(first, second).diff == ""
