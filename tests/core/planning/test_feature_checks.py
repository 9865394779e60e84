"""What is asked of a feature store and what it has: said while planning, with the line that asks."""

import re
import textwrap

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from projects import project_fixture, write

from turnout.api.launch import Launch
from turnout.api.workspace import Workspace
from turnout.base.errors import TurnoutError
from turnout.cli.target import find_endpoint, find_pipeline
from turnout.engines.local.adapter import LocalOrchestrator
from turnout.features.local.store import LocalFeatureStore
from turnout.model.endpoint_plan import Column, Request
from turnout.model.records import Options
from turnout.planning import feature_checks

STACK = """
extends: local
feature_store:
  type: local
  folder: features
  views:
    weather: {keys: [airport], timestamp: since, ttl: 3h}
    levels: {keys: [airport], timestamp: since, created: written}
    gone: {keys: [airport], timestamp: since}
  services: {all: ["weather:wind", "levels:level"]}
"""
FLOW = """
from datetime import datetime
import pandas as pd
from turnout import LOGICAL_TIME, Features, pipeline, step

@step
def load() -> pd.DataFrame: ...

@pipeline
def flow(day: datetime = LOGICAL_TIME):
    CALL
"""


def write_tables(root):
    (root / "features").mkdir()
    time = pa.array([0], pa.timestamp("us", "UTC"))
    weather = pa.table({"airport": ["a"], "since": time, "wind": [1.0]})
    pa.parquet.write_table(weather, root / "features" / "weather.parquet")
    levels = pa.table({"airport": ["a"], "since": time, "written": time, "level": [1]})
    pa.parquet.write_table(levels, root / "features" / "levels.parquet")


project = project_fixture(
    {"stacks/dev.yaml": STACK}, name="p", more="[tool.turnout]\nstack = 'dev'\n", prepare=write_tables
)


def plan(root, call):
    write(root, {"flow.py": FLOW.replace("CALL", textwrap.dedent(call))})
    return Launch.of(find_pipeline("flow.py")).planned


def test_what_is_there_is_planned(project):
    planned = plan(
        project,
        "Features(service='all', entity='origin').historical(load(), timestamp='at', cache='12h'); "
        "Features('levels:level', name='known').historical(load.named('again')(), known_at=True, cache=True); "
        "Features('weather:wind').materialize(until=day)",
    )
    steps = planned.plan.by_name
    assert planned.notes == ()
    assert steps["all_features"].cache == 12 * 3600
    assert steps["known"].cache is True
    assert (steps["materialize_weather"].effect, steps["materialize_weather"].cache) == (True, False)
    assert planned.plan.worker.feature_store.config["folder"] == str(project / "features")


def test_everything_that_is_wrong_is_said_at_once(project, snapshot):
    calls = [
        "Features('weather:wnid', name='a').historical(load())",
        "Features('wether:wind', name='b').historical(load.named('load2')())",
        "Features('weather:wind', keys={'aiport': 'origin'}, name='c').historical(load.named('load3')())",
        "Features('weather:wind', name='d').historical(load.named('load4')(), known_at=True)",
        "Features('weather:wind', inputs=['now'], name='e').historical(load.named('load5')())",
        "Features(service='al', name='f').historical(load.named('load6')())",
        "Features('weather:wind', 'levels:wind', name='g').historical(load.named('load7')())",
        "Features('wether:wind').materialize(until=day)",
    ]
    with pytest.raises(TurnoutError) as caught:
        plan(project, "; ".join(calls))
    assert str(caught.value) == snapshot


def test_data_that_is_not_there_yet_is_a_note(project):
    planned = plan(project, "Features('gone:x').historical(load())")
    assert planned.notes == (
        f"gone_features is not checked before the run: the feature view 'gone' has no file {project}/features/gone.parquet",
    )


@pytest.mark.parametrize(("use", "done"), [("online", "read online"), ("materialize", "materialized")])
def test_what_a_view_never_can_is_refused(project, monkeypatch, use, done):
    described = LocalFeatureStore.describe
    monkeypatch.setattr(
        LocalFeatureStore,
        "describe",
        lambda store: tuple(msgspec.structs.replace(view, refuses={use: "it is so"}) for view in described(store)),
    )
    assert plan(project, "Features('weather:wind').historical(load())").notes == ()
    call = "materialize(until=day)" if use == "materialize" else "online(load())"
    with pytest.raises(TurnoutError, match=rf"flow.py:\d+: .*'weather' cannot be {done}\n *why: it is so"):
        plan(project, f"Features('weather:wind').{call}")


def test_a_stack_without_a_feature_store_is_refused(project):
    write(project, {"stacks/dev.yaml": "extends: local\n"})
    with pytest.raises(TurnoutError, match=r"asks for weather:wind, and the stack dev has no feature store"):
        plan(project, "Features('weather:wind').historical(load())")


def test_a_relative_path_is_refused_where_steps_run_elsewhere(project, monkeypatch):
    monkeypatch.setattr(LocalOrchestrator, "local", False)
    with pytest.raises(
        TurnoutError, match=r"'local' is at a relative path \(folder\), and steps run on other machines"
    ):
        plan(project, "Features('weather:wind').historical(load())")
    write(project, {"stacks/dev.yaml": STACK.replace("folder: features", "folder: /srv/features")})
    planned = plan(project, "Features('weather:wind').historical(load())")
    assert planned.plan.worker.feature_store.config["folder"] == "/srv/features"
    assert "is not checked before the run" in planned.notes[0]


def test_a_secret_that_only_workers_have_is_a_note(project):
    write(project, {"stacks/dev.yaml": STACK.replace("folder: features", "folder: '${worker-env:FEATURES}'")})
    planned = plan(project, "Features('weather:nope').historical(load())")
    assert "features are not checked before the run" in planned.notes[0]


ENDPOINT = """
import pandas as pd
from turnout import Features, endpoint, pipeline, step

@step
def predict(rows: pd.DataFrame) -> list: ...

@pipeline
def train(): ...

@endpoint(train)
def delay(rows: pd.DataFrame):
    return predict(Features("weather:wind", keys={"airport": "origin"}).online(rows))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"origin": "string"}, ""),
        ({"origin": "dictionary<values=large_string, indices=int8, ordered=0>"}, ""),
        ({"origin": "null"}, ""),
        ({}, "has no column 'origin'"),
        (
            {"origin": "int64"},
            r"^serve.py:13: weather_features: .*never matches .*\n *why: it has numbers \(int64\), the view texts",
        ),
        ({"origin": "dictionary<values=int64, indices=int8, ordered=0>"}, "never matches"),
        ({"origin": "string", "wind": "double"}, r"already has the column 'wind'(.|\n)*without={'rows': \['wind'\]}"),
    ],
)
def test_what_requests_give_is_held_to_the_look_up(project, given, told):
    write(project, {"serve.py": ENDPOINT})
    workspace = Workspace.here()
    spec = find_endpoint("serve.py").trace().spec
    columns = tuple(Column(name=name, type=type_) for name, type_ in {**given, "distance": "double"}.items())
    request = Request(name="rows", type=spec.requests[0].type, columns=columns)
    problems = feature_checks.check(spec.steps, workspace.stack, here=True, notes=[], requests=[request])
    text = "\n".join(map(str, problems))
    assert re.search(told, text) if told else not text, text


@pytest.mark.parametrize(
    ("local", "given", "sent"), [(True, None, None), (False, None, False), (False, True, True), (True, False, False)]
)
def test_who_submits_to_another_engine_has_to_ask_for_effects(project, monkeypatch, local, given, sent):
    write(project, {"flow.py": FLOW.replace("CALL", "Features('weather:wind').materialize(until=day)")})
    launch = Launch.of(find_pipeline("flow.py"))
    if not local:
        launch.planned = msgspec.structs.replace(
            launch.planned, plan=msgspec.structs.replace(launch.plan, orchestrator="another")
        )
    submitted = []
    monkeypatch.setattr(Launch, "publish", lambda _: None)
    monkeypatch.setattr(Launch, "compiled", None)
    monkeypatch.setattr(LocalOrchestrator, "submit", lambda _, *given: submitted.append(given[2]))
    launch.submit({}, Options(effects=given))
    assert submitted[0].options.effects is sent
