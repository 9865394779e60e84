"""`turnout features`, and runs of pipelines that look features up and bring them online, on the local stack."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from projects import call_here, project_fixture, write

STACK = """
extends: local
feature_store:
  type: local
  folder: features
  views:
    weather: {keys: [airport], timestamp: since, ttl: TTL, owner: ops, doc: Hourly weather.}
"""
FLOW = """
from datetime import datetime
import pandas as pd
from turnout import LOGICAL_TIME, Features, pipeline, step

weather = Features("weather:wind", keys={"airport": "origin"}, timestamp="at")

@step(cache=True)
def load() -> pd.DataFrame:
    at = pd.to_datetime(["2026-01-01T07", "2026-01-01T08", "2026-01-01T23"], utc=True)
    return pd.DataFrame({"origin": ["a", None, "a"], "at": at})

@pipeline
def flow(day: datetime = LOGICAL_TIME):
    weather.historical(load(), cache="12h")
    weather.materialize(until=day)
"""


def put(root, winds):
    (root / "features").mkdir(exist_ok=True)
    since = [1_767_247_200 * 10**6 + n * 3600 * 10**6 for n in range(len(winds))]  # from 2026-01-01 06:00 on
    columns = {"airport": ["a"] * len(winds), "since": pa.array(since, pa.timestamp("us", "UTC")), "wind": winds}
    pa.parquet.write_table(pa.table(columns), root / "features" / "weather.parquet")


project = project_fixture(
    {"stacks/dev.yaml": STACK.replace("TTL", "2h"), "flow.py": FLOW},
    name="p",
    dependencies=("pandas", "polars", "pyarrow"),
    more="[tool.turnout]\nstack = 'dev'\n",
    prepare=lambda root: put(root, [1.0]),
)


def test_the_store_is_described_checked_and_materialized(project, capsys, snapshot):
    call_here("features", "check")
    call_here("features", "check", "flow.py")
    call_here("features", "describe")
    call_here("features", "materialize", "--until", "2026-01-01T12:00")
    call_here("features", "materialize", "--until", "2026-01-01T11:00Z", "--view", "weather")
    call_here("features", "materialize", "--until", "2026-01-01T13:00")
    call_here("features", "materialize", "--until", "2026-01-01T11:00", "--force")
    call_here("features", "describe", "weather", "--json")
    assert capsys.readouterr().out == snapshot


def test_mistakes_are_said(project, capsys, snapshot):
    call_here("features", "describe", "wether", code=2)
    call_here("features", "materialize", "--view", "wether", code=2)
    call_here("features", "materialize", "--until", "soon", code=2)
    write(project, {"flow.py": FLOW.replace("weather:wind", "weather:wnid")})
    call_here("features", "check", "flow.py", code=2)
    (project / "features" / "weather.parquet").unlink()
    call_here("features", "check", code=2)
    assert capsys.readouterr().err.replace(str(project), "<project>") == snapshot


def last(capsys):
    """The newest run's records by step."""
    capsys.readouterr()
    call_here("runs", "list")
    run = capsys.readouterr().out.split()[0]
    found = {}
    for step in ("weather_features", "materialize_weather"):
        found[step] = json.loads(Path(f".turnout/store/p/runs/{run}/steps/{step}/record.json").read_text())
    return run, found


def done(record):
    return record["outputs"]["output"]["artifact"]["value"]


def test_a_look_up_has_a_record_and_the_key_holds_the_definition(project, capsys):
    call_here("run", "flow.py", "--at", "2026-01-01T12:00")
    run, first = last(capsys)
    look_up = first["weather_features"]
    assert look_up["logged"]["params"]["features"] == ["weather:wind"]
    assert look_up["logged"]["params"]["features_until"] == "2026-01-01T23:00:00+00:00"
    assert look_up["key_parts"]["features"]["store"] == "local"
    views = {"weather": {"rows": 1, "since": None, "until": "2026-01-01T12:00:00+00:00"}}
    assert done(first["materialize_weather"]) == {"done": True, "views": views}

    call_here("run", "flow.py", "--at", "2026-01-01T11:00")
    _, again = last(capsys)
    assert again["weather_features"]["cached_from"] == f"{run}/weather_features"
    assert "already" in done(again["materialize_weather"])["views"]["weather"]["note"]

    write(project, {"stacks/dev.yaml": STACK.replace("TTL", "30m")})
    call_here("run", "flow.py", "--reuse", run, "--only", "weather_features", "--only", "materialize_weather")
    _changed, third = last(capsys)
    assert "cached_from" not in third["weather_features"]
    assert done(third["materialize_weather"]) == {
        "done": False,
        "why": f"this run takes over results of the run {run}",
    }

    put(project, [1.0, 2.0])
    call_here("run", "flow.py", "--no-cache")
    fourth, records = last(capsys)
    versions = {one["key_parts"]["features"]["version"] for one in (look_up, third["weather_features"])}
    assert records["weather_features"]["key_parts"]["features"]["version"] not in versions
    call_here("explain", fourth, "weather_features")
    assert "features version" in capsys.readouterr().out
