"""An endpoint's steps answered one by one, as the nodes of a graph of services: the same answers as by the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from turnout.base.errors import ConfigError, RunError
from turnout.components.registry import discover
from turnout.model.endpoint_plan import EndpointPlan, decode
from turnout.serving.part import Part
from turnout.serving.service import Service
from turnout.serving.tables import BadRequest
from turnout.stores.local import LocalStore

PIPELINE = """
from typing import Annotated

import numpy as np
import pandas as pd

from turnout import endpoint, pipeline, step


class Odd:
    def __init__(self, rows):
        self.rows = rows


@step
def load() -> pd.DataFrame:
    return pd.DataFrame(
        {"x": [1.0, 2.0, 3.0], "when": pd.to_datetime(["2024-01-01", None, "2024-01-03"], utc=True),
         "kind": pd.Categorical(["a", "b", "a"]), "n": pd.array([1, None, 2**60 + 1], dtype="Int64")}
    )


@step
def fit(rows: pd.DataFrame) -> float:
    return 0.1 + 0.2


@step
def clean(rows: pd.DataFrame, *, plus: float = 0.0) -> tuple[
    Annotated[pd.DataFrame, "table"], Annotated[np.ndarray, "array"]
]:
    return rows.assign(x=rows["x"] + plus), rows["x"].to_numpy() / 3


@step
def judge(table: pd.DataFrame, factor: float) -> dict:
    return {"types": [str(kind) for kind in table.dtypes], "factor": factor, "pair": (1, 2)}


@step
def answer(rows: pd.DataFrame, array: np.ndarray, table: pd.DataFrame, verdict: dict, factor: float) -> list:
    assert verdict["pair"] == (1, 2)
    assert list(table.dtypes) == list(rows.dtypes)
    return [
        {"a": float(a) * factor, "x": float(x), "n": None if pd.isna(n) else str(n), "types": verdict["types"]}
        for a, x, n in zip(array, table["x"], table["n"])
    ]


@step
def odd(rows: pd.DataFrame) -> Odd:
    return Odd(len(rows))


@step
def of_odd(value: Odd, rows: pd.DataFrame) -> list:
    return [value.rows] * len(rows)


@pipeline
def train():
    fit(load())


@endpoint(train, like={"rows": "load"})
def whole(rows: pd.DataFrame, plus: float = 0.0):
    cleaned = clean(rows, plus=plus)
    verdict = judge(cleaned.table, train["fit"])
    return answer(rows, cleaned.array, cleaned.table, verdict, train["fit"])


@endpoint(train, like={"rows": "load"})
def pickled(rows: pd.DataFrame):
    return of_odd(odd(rows), rows)
"""
ROWS = [
    {"x": 1.5, "when": "2024-05-01T00:00:00Z", "kind": "b", "n": 2**60 + 1},
    {"x": -0.1, "when": None, "kind": "a", "n": None},
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    (folder / "pyproject.toml").write_text("[project]\nname = 'parts'\nversion = '1'\n")
    (folder / "flow.py").write_text(PIPELINE)
    subprocess.run([sys.executable, "-c", "import flow; flow.train.run()"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def plan_of(project: Path) -> Any:
    @cache
    def plan(name: str) -> EndpointPlan:
        script = f"import sys, flow; d = flow.{name}.prepare(); d.publish(); sys.stdout.buffer.write(d.plan.encode())"
        done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return decode(done.stdout)

    return plan


@pytest.fixture
def store(project: Path) -> LocalStore:
    return LocalStore.from_url(str(project / ".turnout" / "store"))


@pytest.fixture
def nodes(plan_of: Any, store: LocalStore, tmp_path: Path) -> list[Part]:
    plan, registry = plan_of("whole"), discover()
    return [Part(plan, step.name, store, tmp_path, registry) for step in plan.steps]


def driven(nodes: list[Part], body: dict[str, Any]) -> list[dict[str, Any]]:
    """The document that each node answers, asked one after the other over JSON."""
    documents = []
    for node in nodes:
        document = json.loads(json.dumps(node.answer(body).document))
        documents.append(document)
        body = document.get("next", {})
    return documents


def test_nodes_one_after_the_other_answer_as_the_whole(
    nodes: list[Part], plan_of: Any, store: LocalStore, tmp_path: Path
) -> None:
    service = Service(plan_of("whole"), store, tmp_path)
    for body in ({"rows": ROWS}, {"rows": ROWS, "plus": 0.3}, {"rows": []}):
        *_, last = driven(nodes, body)
        assert last == json.loads(json.dumps(service.answer(body).document))
    assert [sorted(node.functions) for node in nodes] == [["clean"], ["judge"], ["answer"]], "each has its own step"
    assert [sorted(node.bound) for node in nodes] == [[], [("fit", "output")], [("fit", "output")]]


def test_only_what_later_nodes_need_is_passed_on(nodes: list[Part]) -> None:
    first, second, _ = driven(nodes, {"rows": ROWS})
    assert sorted(first["next"]) == ["clean:array", "clean:table", "rows"]
    assert sorted(second["next"]) == ["clean:array", "clean:table", "judge:output", "rows"]
    assert not any(node.batchable for node in nodes)


def test_the_first_node_refuses_what_the_endpoint_refuses(nodes: list[Part]) -> None:
    for body, where in (
        ({"rows": [{"x": 1}]}, r"rows\[0\]"),
        ({"rows": ROWS, "more": 1}, "more"),
        ({"rows": ROWS, "clean:table": {}}, "clean:table"),
        ({}, "rows"),
    ):
        with pytest.raises(BadRequest, match=where):
            nodes[0].answer(body)


@pytest.mark.parametrize("handed", [None, 1, {}, {"record": {}}, {"record": {"artifact": {"digest": "x"}}}])
def test_what_no_node_gives_is_refused(nodes: list[Part], handed: Any) -> None:
    body = driven(nodes[:1], {"rows": ROWS})[0]["next"]
    body = {**body, "clean:table": handed}
    with pytest.raises(BadRequest, match="clean:table"):
        nodes[1].answer(body)


def test_what_is_missing_is_named(nodes: list[Part]) -> None:
    with pytest.raises(BadRequest, match="clean:table: is missing: ask the node before"):
        nodes[1].answer({"rows": ROWS})


def test_changed_files_are_refused(nodes: list[Part], tmp_path: Path) -> None:
    body = driven(nodes[:1], {"rows": ROWS})[0]["next"]
    (files,) = body["clean:table"]["files"].values()
    path, data = files.popitem()
    for name, content in ((path, data[:-8] + "AAAA" + data[-4:]), (f"../../../{path}", data), ("/tmp/x", data)):
        files.clear()
        files[name] = content
        with pytest.raises(BadRequest, match="is not what a node before this one gives"):
            nodes[1].answer(body)
    assert not list(tmp_path.rglob(f"**/{path}"))


def test_a_pickle_from_a_request_is_never_read(nodes: list[Part], tmp_path: Path) -> None:
    """Whatever the record says of it."""
    body = driven(nodes[:1], {"rows": ROWS})[0]["next"]
    (digest,) = body["clean:table"]["files"]
    for marked in (True, False):
        artifact = {"digest": digest, "materializer": "pickle", "type": "builtins:int", "marked": marked}
        bad = {"record": {"artifact": artifact}, "files": {digest: {"value.pickle": "gASVCgAAAAAAAABLAS4="}}}
        with pytest.raises(BadRequest):
            nodes[1].answer({**body, "clean:table": bad})


def test_a_step_that_only_a_pickle_can_hold_is_no_node(plan_of: Any, store: LocalStore, tmp_path: Path) -> None:
    plan = plan_of("pickled")
    with pytest.raises((ConfigError, RunError), match="pickle"):
        Part(plan, "odd", store, tmp_path).answer({"rows": ROWS})


def test_a_step_that_there_is_not(plan_of: Any, store: LocalStore, tmp_path: Path, snapshot: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        Part(plan_of("whole"), "cleaned", store, tmp_path)
    assert str(refused.value) == snapshot
