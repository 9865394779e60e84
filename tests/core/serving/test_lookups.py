"""Features looked up while requests are answered: in time, late, failing, and beside each other."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from datetime import datetime, timezone

import pyarrow as pa
import pytest
from projects import HERE, call_here, project_fixture

from turnout.base.errors import DefinitionError, RunError
from turnout.components.feature_store import ROW, FeatureView
from turnout.definition.features import Features
from turnout.model.plan import StepPlan
from turnout.model.spec import Entrypoint
from turnout.serving import asgi, lookups
from turnout.serving.app import App, Limits
from turnout.serving.lookups import Lookup, Pool
from turnout.serving.part import Part
from turnout.serving.tables import BadRequest

STEP = StepPlan(name="weather", entrypoint=Entrypoint(module="turnout.steps", qualname="online"))
SETTINGS = {"features": ["weather:wind"], "entity": "origin"}
ROWS = pa.table({"origin": ["JFK", "LGA"]})


class Store:
    """A feature store that answers with what *act* lets it."""

    name = "fake"

    def __init__(self, act):
        self.act = act

    def describe(self):
        return (FeatureView(name="weather", keys={"airport": "string"}, timestamp="at", features={"wind": "int64"}),)

    def online(self, entities, features, *, keys, inputs=()):
        self.act()
        return pa.table({ROW: entities[ROW], "wind": pa.array([10] * len(entities))})


def fail():
    raise RunError("the store is down")


def look_up(act, **settings):
    pending = Lookup(STEP, SETTINGS | settings, Store(act), Pool()).start(ROWS)
    pending.wait()
    return pending.result()


def test_in_time():
    assert look_up(lambda: None)["wind"].to_pylist() == [10, 10]


@pytest.fixture
def never():
    event = threading.Event()
    yield event.wait
    event.set()


def test_what_takes_too_long_fails_the_request_or_is_null(never):
    with pytest.raises(BadRequest, match=r"features of weather cannot be looked up: .* within 0.05 s") as refused:
        look_up(never, timeout=0.05)
    assert refused.value.status == 503
    table = look_up(never, timeout=0.05, on_error="null")
    assert table.schema == pa.schema({"origin": pa.string(), "wind": pa.int64()})
    assert table["wind"].to_pylist() == [None, None]


def test_what_fails_fails_the_request_or_is_null():
    with pytest.raises(RunError, match="the store is down"):
        look_up(fail)
    assert look_up(fail, on_error="null")["wind"].to_pylist() == [None, None]


def test_no_more_wait_than_there_is_room_for(never, monkeypatch):
    monkeypatch.setattr(lookups, "WAITING", 1)
    lookup = Lookup(STEP, SETTINGS, Store(never), Pool())
    lookup.start(ROWS)
    with pytest.raises(BadRequest, match="1 look-ups wait already"):
        lookup.start(ROWS).result()


def test_requests_do_not_wait_for_each_others_features():
    both = threading.Barrier(2)
    lookup = Lookup(STEP, SETTINGS | {"timeout": 60}, Store(lambda: both.wait(60)), Pool())

    async def one():
        pending = lookup.start(ROWS)
        await pending.wait_async()
        return pending.result()["wind"].to_pylist()

    async def two():
        return await asyncio.gather(one(), one())

    assert asyncio.run(two()) == [[10, 10], [10, 10]]


PIPELINE = """\
import pyarrow as pa

from turnout import Features, endpoint, pipeline, step

weather = Features("weather:wind", entity="origin")


@step
def flights() -> pa.Table:
    return pa.table({"origin": ["JFK", "LGA"], "distance": [100.0, 200.0]})


@step
def rate(rows: pa.Table) -> float:
    return 0.5


@step
def predict(rows: pa.Table, rate: float) -> list:
    pairs = zip(rows.column("distance").to_pylist(), rows.column("wind").to_pylist())
    return [distance * rate + (wind or 0) for distance, wind in pairs]


@pipeline
def train():
    rate(flights())


@endpoint(train, like={"rows": "flights"})
def delay(rows: pa.Table):
    return predict(weather.online(rows, timeout=60), train["rate"])
"""
STACK = """\
extends: local
feature_store:
  type: local
  folder: tables
  views: {weather: {keys: [airport], timestamp: at}}
"""


project = project_fixture({"windy.py": PIPELINE, "stacks/here.yaml": STACK}, name="windy", more=HERE)


async def ask(app, path, body=b""):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST" if body else "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_an_endpoint_answers_with_features_of_now(project, capfd, tmp_path):
    import pandas as pd

    from turnout.api.workspace import Workspace
    from turnout.components.kinds import FEATURE_STORE

    (project / "tables").mkdir()
    at = pd.to_datetime(["2026-01-01T00", "2026-01-01T02"], utc=True)
    pd.DataFrame({"airport": [1, 2], "at": at, "wind": [1, 7]}).to_parquet("tables/weather.parquet")
    call_here("run", "windy.py")
    call_here("deploy", "windy.py", code=2)
    assert "never matches the feature view's key" in capfd.readouterr().err
    pd.DataFrame({"airport": ["JFK", "JFK"], "at": at, "wind": [1, 7]}).to_parquet("tables/weather.parquet")
    call_here("deploy", "windy.py", code=2)
    assert "weather" in capfd.readouterr().err  # it was never materialized: told before anything is served
    Workspace.here().stack.component(FEATURE_STORE).materialize(datetime(2026, 1, 2, tzinfo=timezone.utc))
    app = asgi(sys.modules["windy"].delay)
    rows = [{"origin": "JFK", "distance": 100}, {"origin": "BOS", "distance": 10}]
    answer = asyncio.run(ask(app, "/predict", json.dumps({"rows": rows}).encode()))
    assert answer == (200, b'{"predictions":[57.0,5.0]}')
    _, metrics = asyncio.run(ask(app, "/metrics"))
    assert b'part="features"' in metrics
    deployment, body = sys.modules["windy"].delay.prepare(), {"rows": rows}
    deployment.publish()
    for step in deployment.plan.steps:  # and so it does as nodes of a graph
        node = Part(deployment.plan, step.name, deployment.workspace.store, tmp_path)
        app = App(node, Limits(hosts=("*",)))
        _, answer = asyncio.run(ask(app, "/predict", json.dumps(body).encode()))
        body = json.loads(answer).get("next")
    assert json.loads(answer) == {"predictions": [57.0, 5.0]}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"timeout": "soon"}, "timeout='soon' is not a span of time"),
        ({"on_error": "skip"}, "on_error='skip' is nothing"),
    ],
)
def test_settings_that_cannot_be(settings, told):
    from turnout import endpoint, pipeline

    @pipeline
    def train(): ...

    @endpoint(train)
    def delay(rows: pa.Table):
        return Features("weather:wind", entity="origin").online(rows, **settings)

    with pytest.raises(DefinitionError, match=told):
        delay.trace()
