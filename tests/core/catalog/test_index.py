"""The index: what it lists is what the store holds, however it was filled, and whatever happened to its file."""

import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest
from projects import HERE, IN_PROCESS, project_fixture

import turnout
from turnout.api.invalidation import invalidate
from turnout.api.listing import list_artifacts, list_runs, moment
from turnout.base.errors import ConfigError
from turnout.catalog import database, updating
from turnout.catalog.index import Index
from turnout.model import records
from turnout.model.records import Artifact, Attempt, Host, Mark, Options, OutputRecord, Record, RunInfo
from turnout.stores import layout
from turnout.stores.local import LocalStore


class Shop:
    """Writes runs into a store as workers would, and asks the index."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore.from_url(str(folder / "store"))
        self.folder = folder / "index"
        self.count = 0

    def run(self, name, *, pipeline="flow", tags=None, day=1, state=None):
        info = RunInfo(
            id=name,
            project="shop",
            pipeline=pipeline,
            plan="0" * 64,
            options=Options(tags=tags or {}),
            created=f"2026-01-{day:02}T00:00:00.000000Z",
            stack="local",
            orchestrator="local",
            instance="default",
            engine_run=name,
        )
        self.store.create(layout.run("shop", name), records.encode(info))
        if state is not None:
            self.commit(name, "fit" if state == "succeeded" else "load", hour=1, digest=name)
            self.finish(name, state, hour=2)
        return name

    def commit(self, run, step, index=None, *, hour=1, digest="d", kind="pandas:DataFrame", elements=None):
        artifact = Artifact(digest=digest, materializer="table", type=kind, size=10)
        output = OutputRecord(artifact=artifact) if elements is None else OutputRecord(elements=(artifact,) * elements)
        record = Record(
            run=run, step=step, index=index, state="succeeded", attempt="a", outputs={"output": output},
            started=self.time(hour), ended=self.time(hour),
        )  # fmt: skip
        self.store.create(layout.record("shop", run, step, index), records.encode(record))

    def fail(self, run, step, *, hour=1):
        attempt = Attempt(
            id=f"a{hour}", run=run, step=step, state="failed", started=self.time(hour), ended=self.time(hour),
            host=Host(name="h", pid=1, python="3", turnout="0"),
        )  # fmt: skip
        self.store.create(layout.attempt("shop", run, step, None, attempt.id), records.encode(attempt))

    def finish(self, run, state="succeeded", *, hour=2, number=0):
        open_steps = {} if state == "succeeded" else {"fit": (), "other": self.attempts(run, "other")}
        mark = Mark(time=self.time(hour), state=state, open=open_steps)
        self.store.create(layout.mark("shop", run, number), records.encode(mark))

    def attempts(self, run, step):
        names = self.store.children(layout.attempts("shop", run, step, None))
        return tuple(name.removesuffix(".json") for name in names)

    def time(self, hour):
        return f"2026-02-01T{hour:02}:00:00.000000Z"

    def index(self):
        return closing(Index(self.store, "shop", self.folder))

    def listed(self, **filters):
        with self.index() as index:
            return [(one.info.id, one.state) for one in index.runs(**filters)]

    def made(self, **filters):
        with self.index() as index:
            return [(one.run, one.step, one.index, one.digest) for one in index.artifacts(**filters)]


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_runs_are_listed_newest_first(shop):
    shop.run("one", day=1, state="succeeded")
    shop.run("two", day=3, state="failed", tags={"team": "a", "tier": "1"})
    shop.run("three", day=2, pipeline="other", tags={"team": "a"})
    assert shop.listed() == [("two", "failed"), ("three", None), ("one", "succeeded")]
    assert shop.listed(limit=1) == [("two", "failed")]
    assert shop.listed(pipeline="flow") == [("two", "failed"), ("one", "succeeded")]
    assert shop.listed(tags={"team": "a"}) == [("two", "failed"), ("three", None)]
    assert shop.listed(tags={"team": "a", "tier": "1"}) == [("two", "failed")]
    assert shop.listed(since="2026-01-02T00:00:00.000000Z") == [("two", "failed"), ("three", None)]
    assert shop.listed(states=["succeeded"]) == [("three", None), ("one", "succeeded")]  # of one, its engine must tell
    with shop.index() as index:
        assert [one.info.options.tags for one in index.runs(pipeline="other")] == [{"team": "a"}]


def test_artifacts_are_listed(shop):
    shop.run("old", day=1, state="succeeded")
    shop.run("new", day=2)
    shop.commit("new", "score", 0, digest="e0")
    shop.commit("new", "score", 1, digest="e1", kind="builtins:float")
    shop.commit("new", "parts", elements=2, digest="e2")
    assert shop.made(pipeline="other") == []
    assert sorted(shop.made()) == [
        ("new", "parts", None, "e2"),
        ("new", "parts", None, "e2"),
        ("new", "score", 0, "e0"),
        ("new", "score", 1, "e1"),
        ("old", "fit", None, "old"),
    ]
    assert shop.made()[-1][0] == "old"
    assert shop.made(step="score", kind="float") == [("new", "score", 1, "e1")]
    assert (
        shop.made(kind="DataFrame", step="fit")
        == shop.made(kind="pandas:DataFrame", step="fit")
        == shop.made(step="fit")
    )
    assert shop.made(kind="Frame") == []
    assert shop.made(digest="e") == shop.made()[:4]
    with shop.index() as index:
        assert [one.element for one in index.artifacts(step="parts")] == [0, 1]


def test_only_what_may_have_changed_is_read_again(shop, monkeypatch):
    shop.run("done", state="succeeded")
    shop.run("failed", state="failed")  # long ago
    shop.run("going")
    shop.commit("going", "first")
    assert shop.listed() == [("going", None), ("failed", "failed"), ("done", "succeeded")]
    read = []
    plain = LocalStore.read
    monkeypatch.setattr(LocalStore, "read", lambda store, key: read.append(key) or plain(store, key))
    shop.commit("going", "second", digest="s")
    assert len(shop.made(digest="s")) == 1
    assert read == ["shop/runs/going/run.json", "shop/runs/going/steps/second/record.json", f"plans/{'0' * 64}.json"]


def test_a_run_that_goes_on_is_followed(shop):
    shop.run("run")
    assert shop.listed() == [("run", None)]
    shop.commit("run", "a", hour=1)
    shop.fail("run", "b", hour=2)
    shop.finish("run", "failed", hour=3)
    assert shop.listed() == [("run", "failed")]
    assert shop.made() == [("run", "a", None, "d")]


def test_a_failed_run_that_goes_on_is_seen_for_a_day_and_later_by_its_mark(shop, monkeypatch):
    monkeypatch.setattr(updating, "SETTLING", float("inf"))
    shop.run("run", state="failed")
    assert shop.listed() == [("run", "failed")]
    shop.fail("run", "other", hour=3)  # newer than the end
    assert shop.listed() == [("run", None)]
    shop.finish("run", "failed", hour=4, number=1)
    assert shop.listed() == [("run", "failed")]
    monkeypatch.undo()
    shop.commit("run", "other", hour=5)
    shop.finish("run", "succeeded", hour=6, number=2)
    assert shop.listed() == [("run", "failed")]
    shop.store.create(layout.change("shop", "run", "finish-2"), b"{}")
    assert shop.listed() == [("run", "succeeded")]


def test_what_is_gone_from_the_store_is_gone_from_the_list(shop):
    shop.run("one", state="succeeded")
    shop.run("two", state="succeeded")
    assert len(shop.made()) == 2
    for entry in list(shop.store.list(layout.run_folder("shop", "one"))):
        shop.store.delete(entry.key)
    assert shop.listed() == [("two", "succeeded")]
    assert shop.made() == [("two", "fit", None, "two")]


def test_a_record_that_was_removed_and_made_again(shop):
    shop.run("run")
    shop.commit("run", "a", digest="first")
    assert shop.made() == [("run", "a", None, "first")]
    shop.store.delete(layout.record("shop", "run", "a", None))
    assert shop.made() == []
    shop.commit("run", "a", digest="second")
    assert shop.made() == [("run", "a", None, "second")]


def test_projects_and_stores_are_apart(shop, tmp_path):
    shop.run("run", state="succeeded")
    assert len(shop.listed()) == 1
    for store, project in ((shop.store, "other"), (LocalStore.from_url(str(tmp_path / "elsewhere")), "shop")):
        with closing(Index(store, project, shop.folder)) as index:
            assert index.runs() == []
    assert len(shop.listed()) == 1


def test_deleting_it_loses_nothing(shop):
    for number in range(5):
        shop.run(f"run{number}", day=number + 1, state="succeeded", tags={"n": str(number)})
    before = (shop.listed(), shop.made())
    with shop.index() as index:
        path = index.path
        assert index.rebuild() == (5, 0, 0)
        assert index.steps() == 5
    database.remove(path)
    assert not path.exists()
    assert (shop.listed(), shop.made()) == before


def broken_header(path):
    path.write_bytes(b"this is no database" * 100)


def broken_pages(path):
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def other_format(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def other_tables(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE outputs")


def empty(path):
    path.write_bytes(b"")


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [broken_header, broken_pages, cut, other_format, other_tables, empty, a_folder])
def test_a_file_that_cannot_be_used_is_made_anew(shop, damage, capfd):
    for number in range(3):
        shop.run(f"run{number}", day=number + 1, state="succeeded")
    before = (shop.listed(), shop.made())
    with shop.index() as index:
        path = index.path
    damage(path)
    assert (shop.listed(), shop.made()) == before
    said = capfd.readouterr().err
    assert ("could not be used" in said) is (damage is not empty)


def test_where_no_file_can_be_kept_it_lists_all_the_same(shop, capfd):
    shop.run("run", state="succeeded")
    shop.folder.write_text("in the way")
    assert shop.listed() == [("run", "succeeded")]
    assert "made for this call only" in capfd.readouterr().err


def test_a_damaged_run_is_left_out_and_counted(shop):
    shop.run("good", state="succeeded")
    shop.store.create(layout.run("shop", "bad"), b"{")
    shop.run("half", day=2)
    shop.store.create(layout.record("shop", "half", "fit", None), b'{"run":')
    with shop.index() as index:
        assert [one.info.id for one in index.runs()] == ["half", "good"]
        assert index.refreshed.unreadable == 1
        assert [one.run for one in index.artifacts()] == ["good"]


def test_several_at_once(shop):
    for number in range(30):
        shop.run(f"run{number:02}", state="succeeded" if number % 2 else None)
    found, errors = [], []

    def look():
        try:
            found.append(len(shop.listed()))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found == [30] * 8


def test_processes_that_begin_at_once(shop):
    """Each makes the file, and its decoders in several threads, while the others do."""
    for number in range(10):
        shop.run(f"run{number}", state="succeeded" if number % 2 else None)
    code = (
        "import sys; from contextlib import closing; from pathlib import Path; from turnout.catalog.index import Index\n"
        "from turnout.stores.local import LocalStore; store = LocalStore.from_url(sys.argv[1])\n"
        "sys.stdin.readline()\n"
        "with closing(Index(store, 'shop', Path(sys.argv[2]))) as index: print(len(index.runs()))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, shop.store.address, str(shop.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [(*process.communicate(timeout=60), process.returncode) for process in started] == [("10\n", "", 0)] * 4


def test_marks_that_may_have_been_removed_are_not_relied_on(shop, monkeypatch):
    shop.run("run", state="succeeded")
    assert len(shop.made()) == 1
    shop.store.delete(layout.record("shop", "run", "fit", None))
    assert len(shop.made()) == 1  # no mark was left
    monkeypatch.setattr(updating, "CHANGES_KEPT", -1.0)
    assert shop.made() == []


def test_files_of_stores_that_nobody_lists_are_removed(shop, tmp_path, monkeypatch):
    shop.run("run", state="succeeded")
    shop.listed()
    (old,) = shop.folder.glob("*.sqlite")
    monkeypatch.setattr(database, "FORGOTTEN", -60.0)
    with closing(Index(LocalStore.from_url(str(tmp_path / "elsewhere")), "shop", shop.folder)) as index:
        index.runs()
    assert not old.exists()


@pytest.mark.parametrize(
    ("since", "is_text"),
    [("2026-01-31", "2026-01-31T00:00:00.000000Z"), ("2026-01-31T06:00:00+02:00", "2026-01-31T04:00:00.000000Z")],
)
def test_points_in_time(since, is_text):
    assert moment(since) == is_text
    assert moment("1d") < moment("1h") < moment("1s")
    with pytest.raises(ConfigError, match="neither a time nor a span"):
        moment("yesterday")


MODULE = """
from turnout import pipeline, step


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def total(numbers: list[int]) -> int:
    if not numbers:
        raise ValueError("nothing to add")
    return sum(numbers)


@pipeline(tags={"team": "ops"})
def sums(count: int = 3):
    total(numbers(count))
"""


work = project_fixture(
    {"index_work.py": textwrap.dedent(MODULE), "stacks/here.yaml": IN_PROCESS},
    name="sums",
    dependencies=(),
    more=HERE,
    module="index_work",
)


def test_what_was_run_is_listed(work, call):
    first, second = work.sums.run(count=3), work.sums.run(count=4, tags={"tier": "1"})
    with pytest.raises(turnout.RunError):
        work.sums.run(count=0)
    listed = json.loads(call("runs", "list", "--json").out)
    assert [one["state"] for one in listed] == ["failed", "succeeded", "succeeded"]
    assert [one["run"] for one in listed[1:]] == [second.id, first.id]
    for options, expected in (
        (["--tag", "tier=1"], [second.id]),
        (["--state", "succeeded", "-n", "1"], [second.id]),
        (["--state", "failed", "--state", "succeeded", "-n", "0"], [one["run"] for one in listed]),
        (["--since", "2020-01-01", "--pipeline", "other"], []),
        (["--since", "9999-01-01"], []),
    ):
        assert [one["run"] for one in json.loads(call("runs", "list", "--json", *options).out)] == expected
    assert "no such runs of sums" in call("runs", "list", "--state", "running").err
    assert "neither a time" in call("runs", "list", "--since", "soon", code=2).err
    assert [run.id for run in turnout.runs(state="succeeded", limit=1)] == [second.id]
    rows = [line.split("\t") for line in call("artifacts", "list").out.splitlines()]
    assert [row[:4] for row in rows if row[0] == first.id] == [
        [first.id, "sums", "numbers", "output[0]"],
        [first.id, "sums", "numbers", "output[1]"],
        [first.id, "sums", "numbers", "output[2]"],
        [first.id, "sums", "total", "output"],
    ]
    totals = json.loads(call("artifacts", "list", "--step", "total", "--type", "int", "--json").out)
    assert [one["run"] for one in totals] == [second.id, first.id]
    digest = first["total"].outputs["output"].digests[0]
    assert [one["run"] for one in json.loads(call("artifacts", "list", "--digest", digest[:10], "--json").out)]
    assert "leave RUN out" in call("artifacts", "list", first.id, "--step", "total", code=2).err
    done = json.loads(call("index", "rebuild", "--json").out)
    assert (done["runs"], done["steps"]) == (3, 6)
    assert "read 3 runs with 6 steps" in call("index", "rebuild").out
    workspace = first.workspace
    before = [one for one in list_artifacts(workspace) if one.run == first.id]
    assert len(before) == 4
    invalidate(first, "total")
    assert [one for one in list_artifacts(workspace) if one.run == first.id] == before[:3]
    assert len(list_runs(workspace)) == 3
