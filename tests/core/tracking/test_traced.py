"""What a tracker is told of a step besides what it logged, and what it may put around the step's function."""

from __future__ import annotations

from contextlib import contextmanager
from typing import ClassVar

import pandas as pd
import pytest

from turnout import builtin
from turnout.base.context import log_metric
from turnout.components.hookspecs import hookimpl
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker, TrackerConfig
from turnout.model.plan import Component, Worker
from turnout.model.records import Reuse
from turnout.tracking.report import Report

SOURCE = """
    import pandas as pd

    def tables():
        return [pd.DataFrame({"n": [1]}), pd.DataFrame({"n": [2, 3]})]

    def read(path):
        return pd.read_parquet(path)

    def double(table):
        return table * 2

    def join(parts, number):
        return pd.concat(parts)

    def broken(table):
        raise ValueError("no")
"""


class Witness(Tracker[TrackerConfig]):
    """Remembers what it is told of tables."""

    name = "witness"
    Config = TrackerConfig
    told: ClassVar[dict[str, tuple[list, list]]] = {}
    logged: ClassVar[dict[str, list[str]]] = {}

    def begin(self, run, *, claimed):
        return "witnessed"

    def log(self, batch):
        step = batch.step if batch.index is None else f"{batch.step}.{batch.index}"
        Witness.told[step] = ([self._seen(one) for one in batch.inputs], [self._seen(one) for one in batch.outputs])
        Witness.logged[step] = [point.name for point in batch.points]

    def finish(self, run, external_id, state):
        pass

    def traces(self, artifact, *, made):
        return artifact.materializer in {"table", "file"}

    def page(self, external_id):
        return f"http://tool/{external_id}"

    @contextmanager
    def around(self):
        log_metric("before", 1)
        try:
            yield
        finally:
            log_metric("after", 1)

    @staticmethod
    def _seen(one):
        assert one.address.endswith(f"/artifacts/{one.artifact.digest}/files")
        assert sorted(path.suffix for path in one.files().iterdir()) == [".parquet"]
        value = one.load()
        rows = value["n"].tolist() if isinstance(value, pd.DataFrame) else None
        return one.name, one.step, one.output, rows


class Plugin:
    @hookimpl
    def turnout_trackers(self):
        return (Witness,)


@pytest.fixture
def demo(bench, monkeypatch):
    for name in ("told", "logged"):
        monkeypatch.setattr(Witness, name, {})
    bench.write(SOURCE)
    bench.registry = Registry([builtin, Plugin()])
    return bench


def make(demo):
    table = {"name": "pandas:DataFrame", "text": "DataFrame"}
    return demo.make(
        demo.step("tables", lists=True),
        demo.step("double", table=demo.each("tables")),
        demo.step("join", parts=demo.all("double", **table), number=3),
        demo.step("once", "double", table=demo.out("join", **table)),
        demo.step("broken", table=demo.out("join", **table)),
        worker=Worker(tracker=Component(type="witness")),
    )


def test_tables_that_steps_read_and_made_are_told(demo):
    make(demo)
    assert demo.run() == {"succeeded": 5, "failed": 1}
    assert Witness.told == {
        "tables": ([], [("output[0]", "tables", "output", [1]), ("output[1]", "tables", "output", [2, 3])]),
        "double.0": ([("table", "tables", "output", [1])], [("output", "double", "output", [2])]),
        "double.1": ([("table", "tables", "output", [2, 3])], [("output", "double", "output", [4, 6])]),
        "join": (
            [("parts[0]", "double", "output", [2]), ("parts[1]", "double", "output", [4, 6])],
            [("output", "join", "output", [2, 4, 6])],
        ),
        "once": ([("table", "join", "output", [2, 4, 6])], [("output", "once", "output", [4, 8, 12])]),
        "broken": ([], []),
    }
    assert set(map(tuple, Witness.logged.values())) == {("before", "after")}
    session = demo.open()
    assert session.run.store.read(f"bench/runs/{session.run.info.id}/tracker/page.json") == b'"http://tool/witnessed"'


def test_a_file_that_is_given_is_told_by_its_parameter(demo):
    path = demo.folder / "given.parquet"
    pd.DataFrame({"n": [7]}).to_parquet(path)
    demo.make(
        demo.step("read", path=demo.param("houses")),
        params=(demo.declare("houses", "file"),),
        worker=Worker(tracker=Component(type="witness")),
    )
    artifact = demo.open({"houses": {"digest": "0" * 64, "suffix": ".parquet"}}, run="other").artifacts.save_path(
        path, "file"
    )
    assert demo.run({"houses": {"digest": artifact.digest, "suffix": ".parquet"}}) == {"succeeded": 1}
    assert Witness.told["read"] == ([("path", None, "houses", None)], [("output", "read", "output", [7])])


def test_what_is_taken_over_or_sent_again_is_told_alike(demo):
    make(demo)
    demo.run(run="old")
    first = dict(Witness.told)
    Witness.told.clear()
    demo.run(run="new", reuse=Reuse(run=demo.open(run="old").run.info.id))
    assert Witness.told == first
    Witness.told.clear()
    session = demo.open(run="new")
    assert session.tracking.send(Report.of(session.run.record("join", None)))
    assert Witness.told == {"join": first["join"]}


def test_artifacts_are_the_same_whatever_is_around_them(demo):
    make(demo)
    demo.run(run="witnessed")
    with_one = demo.record("once", run="witnessed").outputs
    demo.make(*demo.plan.steps)
    demo.run(run="plain")
    assert demo.record("once", run="plain").outputs == with_one
    assert demo.record("once", run="plain").logged.points == ()
