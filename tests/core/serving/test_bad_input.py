"""What an endpoint is sent by mistake or in malice: a 4xx that says where, never a 5xx; and its OpenAPI document is right."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from serving_bodies import body

from turnout.components.registry import discover
from turnout.model.endpoint_plan import decode
from turnout.serving.app import App, Limits
from turnout.serving.service import Service
from turnout.stores.local import LocalStore

PIPELINE = '''
from datetime import datetime
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from turnout import endpoint, pipeline, step


@step
def load() -> pd.DataFrame:
    return pd.DataFrame({
        "x": [1.5, None], "f": np.float32([1, 2]), "n": np.int8([1, 2]), "big": np.uint64([1, 2**63]), "ok": [True, False],
        "name": ["a", None], "kind": pd.Categorical(["a", "b"]), "level": pd.Categorical([1, 2]),
        "at": pd.to_datetime(["2026-01-31", None]), "when": pd.to_datetime(["2026-01-31", None], utc=True),
        "took": pd.to_timedelta(["1h", None]), "price": [Decimal("1.50"), None], "raw": [b"1", None],
    })


@step
def load_nested() -> pa.Table:
    times = pa.array([0], pa.time64("us"))
    return pa.table({
        "x": [1.5], "tags": pa.array([["a"]], pa.large_list(pa.string())), "pair": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        "part": [{"a": 1, "b": "x"}], "map": pa.array([{"k": 1}], pa.map_(pa.string(), pa.int32())), "day": pa.array([0], pa.date32()),
        "clock": times, "id": pa.array([b"1234"], pa.binary(4)), "none": pa.nulls(1), "half": pa.array([np.float16(1)], pa.float16()),
    })


@step
def count(rows: pa.Table) -> list:
    rows.validate(full=True)
    return [rows.num_rows] * rows.num_rows


@step
def answer(rows: pd.DataFrame, *, plus: float = 0.0, mode: str = "low") -> list:
    rows.memory_usage(deep=True)
    return [len(rows) + plus] * len(rows)


@step
def fail(rows: pd.DataFrame) -> list:
    raise ValueError("it holds the token 4711")


@pipeline
def train():
    load()
    load_nested()


@endpoint(train, like={"rows": "load"})
def whole(rows: pd.DataFrame, plus: float = 0.0, mode: Literal["low", "high"] = "low"):
    """Takes columns of many types."""
    return answer(rows, plus=plus, mode=mode)


@endpoint(train, like={"rows": "load"})
def failing(rows: pd.DataFrame):
    return fail(rows)


@endpoint(train, like={"rows": "load_nested"})
def nested(rows: pa.Table):
    return count(rows)


@endpoint(train)
def any_columns(rows: pd.DataFrame):
    return answer(rows)
'''
SCRIPT = """
import sys
sys.path.insert(0, "")
import pipeline
if __name__ == "__main__":
    pipeline.train.run()
    for name in ("whole", "failing", "nested", "any_columns"):
        deployment = getattr(pipeline, name).prepare()
        deployment.publish()
        open(f"{name}.json", "wb").write(deployment.plan.encode())
"""
ROW = {
    "x": 1.5, "f": 2.5, "n": 3, "big": 2**64 - 1, "ok": True, "name": "ä", "kind": "a", "level": 2,
    "at": "2026-01-28T12:00:00.5", "when": "2026-01-28T12:00:00+01:00", "took": "PT1H", "price": "1.25",
    "raw": "gASVAAA=",
}  # fmt: skip
NULLS = {**dict.fromkeys(ROW), "n": 1, "big": 1, "ok": False, "f": 1.0, "x": "NaN"}
NESTED = {
    "x": 2, "tags": ["a", None], "pair": [1, None], "part": {"a": 1, "b": None}, "map": [["k", 1], ["j", None]], "day": "2026-01-28",
    "clock": "12:30:00.5", "id": "AAAAAA==", "none": None, "half": 65504,
}  # fmt: skip
PARAMS = {"plus": [0, 1.5, -3], "mode": ["low", "high"]}
BODIES = int(os.environ.get("TURNOUT_BODIES", "1200"))
"""How many are sent; tens of thousands by `make soak`."""
QUIRKS = ("at", "when", "took", "price")
"""Columns of which no pattern can say all: whether there is such a day, or how many digits are too many."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("[project]\nname = 'bad'\nversion = '1'\n")
    (folder / "pipeline.py").write_text(PIPELINE)
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def apps(folder):
    def make(name, limits):
        store = LocalStore.from_url(str(folder / ".turnout" / "store"))
        service = Service(decode((folder / f"{name}.json").read_bytes()), store, folder, discover())
        service.load()
        return App(service, limits)

    limits = Limits(rows=4, bytes=1 << 20)
    return SimpleNamespace(
        whole=make("whole", limits),
        nested=make("nested", limits),
        any_columns=make("any_columns", limits),
        failing=make("failing", limits),
        quiet=make("failing", Limits(named_errors=False)),
        hasty=make("whole", Limits(receive_timeout=0.7)),
        patient=make("whole", Limits(receive_timeout=1.5)),
    )


def send(app, data, path="/predict", headers=((b"host", b"localhost"),), method="POST"):
    """The status and the document of an answer; *data* may be parts."""

    async def parts():
        for part in [data] if isinstance(data, bytes) else data:
            yield part

    return asyncio.run(_send(app, parts(), path, headers, method))


async def _send(app, parts, path, headers, method):
    ended, answer = False, []

    async def receive():
        nonlocal ended
        part = await anext(parts, None)
        if part is None and ended:
            return {"type": "http.disconnect"}
        ended = part is None
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def hear(message):
        answer.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "headers": list(headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    await app(scope, receive, hear)
    text = b"".join(message.get("body", b"") for message in answer)
    return answer[0]["status"], json.loads(text) if text.startswith(b"{") else text.decode()


def predict(app, document):
    return send(app, json.dumps(document).encode())


def schema_of(app):
    _, document = send(app, b"", "/openapi.json", method="GET")
    return document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def test_what_it_takes_is_answered(apps):
    assert predict(apps.whole, {"rows": [ROW, NULLS], "plus": 1}) == (200, {"predictions": [3.0, 3.0]})
    assert predict(apps.whole, [ROW, NULLS]) == (200, {"predictions": [2.0, 2.0]})
    assert predict(apps.nested, [NESTED, dict.fromkeys(NESTED)]) == (200, {"predictions": [2, 2]})


@pytest.mark.parametrize(
    ("name", "bodies", "rows"), [("whole", BODIES, [ROW, NULLS]), ("nested", BODIES // 2, [NESTED])]
)
def test_no_body_is_an_error_of_the_server_and_the_schema_says_which_are_taken(
    apps, name, bodies, rows, monkeypatch, capsys
):
    app = getattr(apps, name)

    def unpickle(*_, **__):
        raise AssertionError("a request was unpickled")

    monkeypatch.setattr(pickle, "loads", unpickle)
    monkeypatch.setattr(pickle, "load", unpickle)
    validator = Draft202012Validator(schema_of(app))
    counts, differ = {}, []
    for seed in range(bodies):
        data = body(seed, rows, PARAMS if name == "whole" else {})
        status, answer = send(app, data)
        counts[status] = counts.get(status, 0) + 1
        if status != 200:
            assert answer["error"]["what"], (seed, data)
        if seed % 5 or len(data) > 5000 or b"[[[[[" in data:
            continue
        try:
            document = json.loads(data, parse_constant=lambda _: 1 / 0)
        except (ValueError, ArithmeticError):
            assert status == 400
            continue
        if validator.is_valid(document) != (status == 200) and not _is_quirk(document, answer):
            differ.append((seed, status, data[:500], answer))
    assert differ == []
    assert set(counts) == {200, 400, 413, 422}, counts
    assert capsys.readouterr().err == ""


def _is_quirk(document, answer):
    where = answer.get("error", {}).get("where", "") if isinstance(answer, dict) else ""
    return where.rpartition(".")[2] in QUIRKS


@pytest.mark.parametrize("path", ["/predict", "/v2/models/any_columns/infer"])
def test_columns_of_any_kind_are_a_table_or_refused(apps, path, capsys):
    for seed in range(BODIES // 6):
        data = body(seed, [{"x": 1, "y": "a"}, {"x": None}], {})
        if "infer" in path:
            data = json.dumps({"inputs": _tensors(data)}).encode()
        status, answer = send(apps.any_columns, data, path)
        assert status in {200, 400, 413, 422}, (seed, data, answer)
    assert capsys.readouterr().err == ""


def _tensors(data):
    try:
        rows = json.loads(data)["rows"]
        columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
        return [
            {"name": name, "shape": [len(rows)], "datatype": "BYTES", "data": values}
            for name, values in columns.items()
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@pytest.mark.parametrize(
    ("document", "status", "where", "what"),
    [
        ({"rows": [{**ROW, "x": "far"}]}, 422, "rows[0].x", "takes a number, not 'far'"),
        ({"rows": [ROW, {**ROW, "n": 128}]}, 422, "rows[1].n", "takes whole numbers from -128 to 127, not 128"),
        ({"rows": [{**ROW, "f": 1e39}]}, 422, "rows[0].f", "takes a number from -3.40282e+38 to 3.40282e+38, not 1e+39"),
        ({"rows": [{**ROW, "colour": 1}]}, 422, "rows[0]", "has no column 'colour'"),
        ({"rows": [{k: v for k, v in ROW.items() if k != "ok"}]}, 422, "rows[0]", "lacks 'ok'"),
        ({"rows": [{**ROW, "raw": [1]}]}, 422, "rows[0].raw", "takes bytes in base64, not [1]"),
        ({"rows": [1]}, 422, "rows[0]", "takes an object, a column by its name each"),
        ({"rows": {}}, 422, "rows", "takes a list of rows, an object each"),
        ({"rows": [ROW] * 5}, 413, "rows", "has 5 rows, 4 are taken"),
        ({"rows": [ROW], "mode": "middle"}, 422, "mode", "takes"),
        ({"rows": [ROW], "plus": "1"}, 422, "plus", "takes a float, not '1'"),
        ({"rows": [ROW], "minus": 1}, 422, "minus", "the endpoint takes mode, plus, rows"),
        ({}, 422, "rows", "is missing"),
        (3, 422, None, "the body takes an object with rows, plus, mode"),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what(apps, document, status, where, what):
    answered, told = predict(apps.whole, document)
    assert (answered, told["error"].get("where")) == (status, where)
    assert what in told["error"]["what"]


@pytest.mark.parametrize(
    ("inputs", "where", "what"),
    [
        ([{"name": "x", "shape": [3], "data": [1]}], "inputs[0]", "takes data of the shape [rows], as many values"),
        ([{"name": "x", "shape": [1], "data": [1]}] * 2, "inputs[1]", "has a name that one before it has"),
        ([{"name": "x", "shape": [9], "data": [1] * 9}], "inputs", "has 9 rows, 4 are taken"),
        ([{"name": n, "shape": [k], "data": [1] * k} for n, k in (("x", 1), ("y", 2))], "inputs", "of 1 and of 2"),
        ([7], "inputs[0]", "takes an object with name, shape, datatype and data"),
    ],
)
def test_a_wrong_tensor_is_told_where_it_is(apps, inputs, where, what):
    status, told = send(apps.any_columns, json.dumps({"inputs": inputs}).encode(), "/v2/models/any_columns/infer")
    assert 400 <= status < 500
    assert told["error"]["where"] == where
    assert what in told["error"]["what"]


def test_rows_without_a_column_are_refused(apps):
    assert predict(apps.any_columns, [{}]) == (422, {"error": {"where": "rows[0]", "what": "has no column"}})
    assert predict(apps.any_columns, [{}, {"x": 1}])[0] == 200


def test_without_rows_no_step_is_asked(apps):
    assert predict(apps.failing, {"rows": []}) == (200, {"predictions": []})
    assert predict(apps.whole, {"rows": [], "mode": "none"})[0] == 422


def test_what_a_step_raises_is_told_or_not(apps, capsys):
    status, told = predict(apps.failing, {"rows": [ROW]})
    assert (status, told["error"]["what"]) == (500, "it failed: ValueError: it holds the token 4711")
    assert predict(apps.quiet, {"rows": [ROW]}) == (500, {"error": {"what": "it failed"}})
    assert "ValueError: it holds the token 4711" in capsys.readouterr().err
    assert predict(apps.quiet, {"rows": [{"secret": 1}]}) == (422, {"error": {"what": "the request is refused"}})
    assert send(apps.quiet, b"{")[1] == {"error": {"what": "the request is refused"}}


def test_a_large_body_is_read_to_its_end_and_not_kept(apps):
    part, count = bytes(1 << 20), 100
    heard = 0

    def parts():
        nonlocal heard
        for _ in range(count):
            heard += len(part)
            yield part

    tracemalloc.start()
    try:
        status, told = send(apps.whole, parts())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, told["error"]["what"]) == (413, "the body has 104857600 bytes, 1048576 are taken")
    assert heard == count << 20
    assert peak < 8 << 20


@pytest.mark.parametrize("part", [b"", b" "])
def test_a_body_that_never_ends_is_refused(apps, part):
    async def endless():
        while True:
            await asyncio.sleep(0.05)
            yield part

    status, told = asyncio.run(_send(apps.hasty, endless(), "/predict", [(b"host", b"localhost")], "POST"))
    assert (status, told["error"]["what"]) == (408, "the body did not come within 0.7 s")


def test_a_body_is_not_late_because_the_process_was_busy(apps):
    async def parts():
        for part in (b"[", b"]"):
            coming = asyncio.get_running_loop().create_future()

            def come(coming=coming):
                time.sleep(1)  # a step of another request; the part lies there meanwhile
                coming.set_result(None)

            asyncio.get_running_loop().call_later(0.1, come)
            await coming
            yield part

    hosts = [(b"host", b"localhost")]
    assert asyncio.run(_send(apps.patient, parts(), "/predict", hosts, "POST")) == (200, {"predictions": []})


def test_a_client_that_goes_before_its_body_ends_is_no_failure(apps, capsys):
    async def ask():
        messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

        async def receive():
            return next(messages)

        response = await apps.whole._answer({"headers": []}, receive, lambda *_: ({}, None), lambda *_: {})
        return response.status_code

    assert asyncio.run(ask()) == 400
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", 200), (b"LOCALHOST:8080", 200), (b"127.0.0.1:1", 200), (b"[::1]:8080", 200), (b"evil.example", 421),
        (b"127.0.0.1.evil.example", 421), (b"localhost.evil.example:80", 421), (b"", 421), (b"[", 421), (b"0.0.0.0", 421),
        (b"\xff", 421), (None, 421),
    ],
)  # fmt: skip
def test_only_known_hosts_are_answered(apps, host, status):
    headers = [] if host is None else [(b"host", host)]
    assert send(apps.whole, b"", "/health/ready", headers, "GET")[0] == status
    assert send(apps.whole, b"[]", "/predict", headers)[0] == status


def test_the_page_has_a_body_that_is_taken(apps):
    _, page = send(apps.whole, b"", "/docs", method="GET")
    text = page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0].replace("&quot;", '"')
    assert send(apps.whole, text.encode())[0] == 200


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/predict", "GET", 405), ("/other", "GET", 404), ("/v2", "GET", 200)]
)
def test_paths_and_methods(apps, path, method, status):
    assert send(apps.whole, b"", path, method=method)[0] == status
