"""Garbage collection: what is named stays, whatever happens in between; what is not goes, in the end all of it."""

import json
import os
import textwrap
import threading
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from projects import HERE, IN_PROCESS, project_fixture

import turnout
from turnout.api.garbage import collect_garbage
from turnout.api.launch import Launch
from turnout.api.withdrawal import withdraw
from turnout.artifacts.blobs import Blobs
from turnout.base import canonical
from turnout.catalog.garbage import Collection
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.components.base import Config
from turnout.model import records
from turnout.model.alias import Alias
from turnout.model.records import Artifact, Mark, OutputRecord, Record, RunInfo
from turnout.runtime.cache import Pointer
from turnout.stores import claims, keys, layout
from turnout.stores.local import LocalStore

NOW, GRACE = 1_000_000_000.0, 86_400.0
OLD, YOUNG = NOW - 10 * GRACE, NOW - GRACE / 2


class Killed(BaseException):
    """What a kill is, seen from within."""


class MemoryStore(ArtifactStore[Config]):
    """Objects in memory, of any age; it may be killed after so many changes."""

    name = "memory"
    Config = Config

    def __init__(self):
        super().__init__(Config())
        self.objects = {}
        self.clock = NOW
        self.changes_left = None
        self.lock = threading.RLock()

    address = "memory"

    def environment(self):
        raise NotImplementedError

    def _change(self):
        if self.changes_left is not None:
            if self.changes_left == 0:
                raise Killed
            self.changes_left -= 1

    def read(self, key):
        return self.objects.get(key, (None,))[0]

    def create(self, key, data):
        keys.check(key)
        with self.lock:
            if key in self.objects:
                return False
            self._change()
            self.objects[key] = (data, self.clock)
            return True

    def create_from(self, key, path):
        return self.create(key, path.read_bytes())

    def fetch(self, key, path):
        raise NotImplementedError

    def exists(self, key):
        return key in self.objects

    def list(self, prefix):
        head = f"{prefix}/" if prefix else ""
        found = [(key, *value) for key, value in sorted(self.objects.items()) if key.startswith(head)]
        return iter([Entry(key, len(data), modified) for key, data, modified in found])

    def children(self, prefix):
        return sorted({entry.key.removeprefix(f"{prefix}/").partition("/")[0] for entry in self.list(prefix)})

    def delete(self, key):
        with self.lock:
            if key in self.objects:
                self._change()
                del self.objects[key]


def digest_of(name):
    return canonical.digest(name.encode())


def info(run, plan="", **fields):
    return RunInfo(
        id=run, project="shop", pipeline="flow", plan=plan, created="", stack="local", orchestrator="local",
        instance="default", engine_run=run, **fields,
    )  # fmt: skip


def add(store, key, data, modified):
    if key not in store.objects:
        store.objects[key] = (data, modified)


def add_artifact(store, name, modified):
    digest = digest_of(name)
    add(store, layout.blob(digest, "data"), name.encode(), modified)
    add(store, layout.manifest(digest), b"{}", modified)


def add_run(store, run, names, modified, *, plan="", ended=True, key="", fields=None):
    add(store, layout.run("shop", run), records.encode(info(run, plan, **(fields or {}))), modified)
    outputs = {
        name: OutputRecord(artifact=Artifact(digest=digest_of(name), materializer="json", type="int")) for name in names
    }
    record = Record(run=run, step="fit", state="succeeded", outputs=outputs, cache_key=key)
    add(store, layout.record("shop", run, "fit", None), records.encode(record), modified)
    if ended:
        add(store, layout.mark("shop", run, 0), records.encode(Mark(time="", state="succeeded", open={})), modified)


def add_alias(store, name, number, run, artifact, modified=OLD):
    made = Artifact(digest=digest_of(artifact), materializer="json", type="int")
    alias = Alias(name=name, number=number, time="", by="", run=info(run), step="fit", output="o", artifact=made)
    add(store, layout.alias("shop", name, number), records.encode(alias), modified)


def artifacts_of(store):
    """The names of the artifacts that are there; all of them whole."""
    there = {key.split("/")[1] for key in store.objects if key.startswith("artifacts/")}
    for digest in there:
        assert {layout.manifest(digest), layout.blob(digest, "data")} <= store.objects.keys()
    return there


def runs_of(store):
    """The runs that are there; all of them whole."""
    there = {key.split("/")[2] for key in store.objects if key.startswith("shop/runs/") and key.endswith("/run.json")}
    for run in there:
        assert layout.record("shop", run, "fit", None) in store.objects
    return there


NAMES = tuple("abcdef")
RUNS = ("r0", "r1", "r2", "r3")
ages = st.sampled_from([OLD, YOUNG])
names = st.sets(st.sampled_from(NAMES), max_size=3)
worlds = st.fixed_dictionaries(
    {
        "artifacts": st.dictionaries(st.sampled_from(NAMES), ages, min_size=4),
        "runs": st.dictionaries(
            st.sampled_from(RUNS), st.tuples(names, ages, st.booleans(), st.sampled_from(["", "p0", "p1"]))
        ),
        "reuse": st.dictionaries(st.sampled_from(RUNS), st.sampled_from(RUNS), max_size=2),
        "plans": st.dictionaries(st.sampled_from(["p0", "p1"]), st.tuples(st.sampled_from(NAMES), ages)),
        "exported": st.sets(st.sampled_from(["p0", "p1"]), max_size=1),
        "aliases": st.lists(st.tuples(st.sampled_from(RUNS), st.sampled_from(NAMES)), max_size=4),
        "claimed": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["fresh", "held", "over"]), max_size=2),
        "removing": st.sets(st.sampled_from(RUNS)),
        "grace": st.sampled_from([GRACE, GRACE, 0.0]),
    }
)


def plan_document(name):
    return canonical.encode({"plan": name, "code": digest_of(f"code of {name}"), "default": digest_of(PLANNED[name])})


PLANNED: dict = {}


def build(world):
    """The store of a world, and what by its rules is to be there after two collections, a grace period apart."""
    store = MemoryStore()
    PLANNED.update({"p0": "a", "p1": "b"} | {name: artifact for name, (artifact, _) in world["plans"].items()})
    plan_digest = {name: canonical.digest(plan_document(name)) for name in ("p0", "p1")}
    for name, age in world["artifacts"].items():
        add_artifact(store, name, age)
    for name, (_, age) in world["plans"].items():
        add(store, layout.plan(plan_digest[name]), plan_document(name), age)
        add(store, layout.code(digest_of(f"code of {name}")), b"zip", age)
    for run, (made, age, ended, plan) in world["runs"].items():
        reuse = world["reuse"].get(run)
        fields = {"options": records.Options(reuse=records.Reuse(run=reuse))} if reuse else {}
        add_run(store, run, made, age, plan=plan_digest.get(plan, ""), ended=ended, fields=fields)
    for name in world["exported"]:
        add(store, layout.export(plan_digest[name]), canonical.encode({"plan": plan_digest[name]}), OLD)
    for number, (run, artifact) in enumerate(world["aliases"]):
        add_alias(store, "best", number, run, artifact)
    for name, kind in world["claimed"].items():
        modified = YOUNG if kind == "fresh" else OLD
        until = NOW + 5 * GRACE if kind == "held" else modified
        add(store, layout.claim(digest_of(name), round(until), "x"), b"{}", modified)
    return store


def expected(world):
    """The runs and artifacts that must stay, and those that may stay, by rules written down a second time."""
    grace = world["grace"]
    old = {YOUNG: grace <= NOW - YOUNG, OLD: True}
    counting = world["aliases"][-2:]
    pinned = {run for run, _ in counting}
    unfinished = {run for run, (_, _, ended, _) in world["runs"].items() if not ended}
    pinned |= {run for run in unfinished if not old[world["runs"][run][1]]}
    for _ in RUNS:  # what a run that stays takes results from stays
        going = (world["removing"] - pinned) & world["runs"].keys()
        pinned |= {world["reuse"].get(run) for run in unfinished - going}
    stay = world["runs"].keys() - going
    live = {artifact for _, artifact in counting}
    plans = {world["runs"][run][3] for run in stay} | world["exported"]
    plans |= {name for name, (_, age) in world["plans"].items() if not old[age]}
    live |= {name for run in stay for name in world["runs"][run][0]}
    for name, kind in world["claimed"].items():
        if kind == "held" or (kind == "fresh" and not old[YOUNG]):
            live.add(name)
    live |= {world["plans"][name][0] for name in plans if name in world["plans"]}
    lost = {name for run in going for name in world["runs"][run][0]}
    lost |= {world["plans"][world["runs"][run][3]][0] for run in going if world["runs"][run][3] in world["plans"]}
    if grace > 0:
        live |= lost
    young = {name for name, age in world["artifacts"].items() if not old[age]}
    there = (live | young) & world["artifacts"].keys()
    return stay, {digest_of(name) for name in there}


def collect(store, world, now=NOW):
    removing = [("shop", run) for run in world["removing"]]
    return Collection(store, removing, grace=world["grace"], now=now).collect()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds)
def test_what_is_named_stays_and_all_else_goes(world):
    store = build(world)
    before = dict(store.objects)
    preview = Collection(store, [("shop", run) for run in world["removing"]], grace=world["grace"], now=NOW).preview()
    assert store.objects == before
    done = collect(store, world)
    assert (runs_of(store), artifacts_of(store)) == expected(world)
    assert done == preview
    gone = sum(len(data) for key, (data, _) in before.items() if key not in store.objects)
    assert gone == sum(one.bytes for one in done.freed.values())
    collect(store, world)  # nothing more at the same time
    assert (runs_of(store), artifacts_of(store)) == expected(world)


RICH = {
    "artifacts": dict.fromkeys(NAMES, OLD),
    "runs": {"r0": ({"a"}, OLD, True, "p0"), "r1": ({"b"}, OLD, True, "p0"), "r2": ({"c"}, OLD, True, "p1")},
    "reuse": {},
    "plans": {"p0": ("d", OLD), "p1": ("e", OLD)},
    "exported": set(),
    "aliases": [("r3", "b")],
    "claimed": {"f": "over"},
    "removing": {"r0", "r2"},
    "grace": GRACE,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds, st.integers(0, 15))
def test_killed_anywhere_nothing_named_is_gone_and_the_next_calls_do_the_rest(world, changes):
    undisturbed, _ = kill(world, None)
    store, _ = kill(world, changes)
    finish_off(store, world)
    finish_off(undisturbed, world)
    assert (runs_of(store), artifacts_of(store)) == (runs_of(undisturbed), artifacts_of(undisturbed))
    assert {key for key in store.objects if "condemned" in key} == set()


@pytest.mark.parametrize("grace", [GRACE, 0.0])
def test_killed_at_every_point(grace):
    killed, changes = True, 0
    while killed:
        store, killed = kill({**RICH, "grace": grace}, changes)
        finish_off(store, RICH)
        assert runs_of(store) == {"r1"}
        assert artifacts_of(store) == {digest_of("b"), digest_of("d")}
        changes += 1
    assert changes > 10


def kill(world, changes):
    """Collect, and be killed after so many changes: nothing that is named is gone, and no run is half there."""
    store = build(world)
    store.changes_left = changes
    try:
        collect(store, world)
    except Killed:
        stay, named = expected(world)
        assert named <= {key.split("/")[1] for key in store.objects if key.endswith("/manifest.json")}
        assert stay <= runs_of(store)
        return store, True
    finally:
        store.changes_left = None
    return store, False


def finish_off(store, world):
    """Collect until a grace period after the last run has gone; a mark of a killed call may be in the way once."""
    for days in (2, 4, 6):
        store.clock = NOW + days * GRACE
        collect(store, world, now=store.clock)


def test_what_a_removed_run_named_is_kept_for_the_grace_period():
    store = MemoryStore()
    add_artifact(store, "a", OLD)
    add_run(store, "r0", ["a"], OLD)
    done = Collection(store, [("shop", "r0")], grace=GRACE, now=NOW).collect()
    assert (done.runs, done.later.count) == (["r0"], 1)
    assert artifacts_of(store) == {digest_of("a")}
    add_run(store, "r1", ["a"], NOW)  # it had found the result in the cache a moment before
    store.clock = NOW + 2 * GRACE
    Collection(store, [], grace=GRACE, now=store.clock).collect()
    assert artifacts_of(store) == {digest_of("a")}
    Collection(store, [("shop", "r1")], grace=0, now=store.clock).collect()
    assert store.objects == {}


def test_the_cache_passes_to_a_run_that_stays():
    store = MemoryStore()
    add_artifact(store, "a", OLD)
    for run in ("r0", "r1"):
        add_run(store, run, ["a"], OLD, key="k" * 64)
    add_run(store, "r2", ["b"], OLD, key="l" * 64)
    for run, key in (("r0", "k" * 64), ("r2", "l" * 64), ("gone", "m" * 64)):
        pointer = Pointer(run=run, step="fit", index=None, ended=f"when {run} ended")
        add(store, layout.cache_entry("shop", key, run, "fit", None), canonical.encode(pointer), OLD)
    done = Collection(store, [("shop", "r0"), ("shop", "r2")], grace=GRACE, now=NOW).collect()
    assert done.freed["cache"].count == 3
    (entry,) = store.list("shop/cache")
    assert entry.key == layout.cache_entry("shop", "k" * 64, "r1", "fit", None)
    assert msgspec.json.decode(store.read(entry.key), type=Pointer) == Pointer(
        run="r1", step="fit", index=None, ended="when r0 ended"
    )


def test_what_an_alias_named_that_was_removed_goes():
    store = MemoryStore()
    add_artifact(store, "a", OLD)
    add_run(store, "r0", ["a"], OLD)
    add_alias(store, "best", 0, "r0", "a")
    assert Collection(store, [("shop", "r0")], grace=0, now=NOW).collect().runs == []
    last = msgspec.json.decode(store.read(layout.alias("shop", "best", 0)), type=Alias)
    gone = msgspec.structs.replace(last, number=1, removed=True)
    add(store, layout.alias("shop", "best", 1), records.encode(gone), YOUNG)
    Collection(store, [("shop", "r0")], grace=0, now=NOW).collect()
    assert list(store.objects) == [layout.alias("shop", "best", 0), layout.alias("shop", "best", 1)]


def test_a_run_that_goes_on_meanwhile_stays():
    store = MemoryStore()
    add_run(store, "r0", ["a"], OLD)
    collection = Collection(store, [("shop", "r0")], grace=GRACE, now=NOW)
    store.create(layout.record("shop", "r0", "more", None), b"{}")
    assert collection.collect().runs == []
    assert runs_of(store) == {"r0"}


def test_what_it_does_not_know_keeps_what_it_names():
    store = MemoryStore()
    for name in NAMES[:5]:
        add_artifact(store, name, OLD)
    for place, name in (
        ("shop/endpoints/delay.json", "a"),
        ("other/runs/r/of/a/later/version.json", "b"),
        ("plans/not-a-digest.json", "c"),
        ("shop/runs/r0/steps/x/record.json", "d"),  # cut short
    ):
        add(store, place, f'{{"x": "{digest_of(name)}"'.encode(), OLD)
    add(store, layout.run("shop", "r0"), b"{", OLD)
    add(store, layout.run("other", "r"), b"{", OLD)
    Collection(store, [], grace=GRACE, now=NOW).collect()
    assert artifacts_of(store) == {digest_of(name) for name in "abcd"}


# Claims


def old_artifact(tmp_path, store, text):
    """An artifact that nothing names, written long ago."""
    blobs = Blobs(store, tmp_path / "work")
    with blobs.staging() as folder:
        (folder / "data.txt").write_text(text)
        digest = blobs.write(folder, "text", "str").digest
    age(store, layout.artifact(digest))
    return digest


def age(store, prefix):
    for entry in list(store.list(prefix)):
        os.utime(store.local_path(entry.key), (1e9, 1e9))


def write_blob(tmp_path, store, text):
    blobs = Blobs(store, tmp_path / "work")
    with blobs.staging() as folder:
        (folder / "data.txt").write_text(text)
        return blobs.write(folder, "text", "str")


def test_what_is_made_again_is_claimed(tmp_path):
    store = LocalStore.from_url(str(tmp_path / "store"))
    digest = old_artifact(tmp_path, store, "same")
    write_blob(tmp_path, store, "new")
    assert list(store.list("claims")) == []  # nothing else is
    write_blob(tmp_path, store, "same")
    write_blob(tmp_path, store, "same")
    assert len(list(store.list(layout.claims(digest)))) == 1  # one is enough for both
    Collection(store, [], grace=GRACE).collect()
    assert store.exists(layout.manifest(digest))
    age(store, "claims")
    Collection(store, [], grace=GRACE).collect()
    assert not store.exists(layout.manifest(digest))
    assert list(store.list("claims")) == []


def test_a_writer_waits_for_what_is_being_removed(tmp_path):
    store = LocalStore.from_url(str(tmp_path / "store"))
    digest = old_artifact(tmp_path, store, "same")
    done = threading.Event()

    def make_again():
        write_blob(tmp_path, store, "same")
        done.set()

    with claims.condemning(store, digest, time.time(), GRACE) as may_go:
        assert may_go
        writer = threading.Thread(target=make_again)
        writer.start()
        assert not done.wait(0.3)
        for entry in list(store.list(layout.artifact(digest))):
            store.delete(entry.key)
    writer.join(30)
    assert done.is_set()
    manifest = Blobs(store, tmp_path / "work").manifest(digest)
    Blobs(store, tmp_path / "work").verify(manifest)


def test_who_removes_gives_way_to_a_claim_and_to_another(tmp_path):
    store = LocalStore.from_url(str(tmp_path / "store"))
    claims.claim(store, "0" * 64)
    with claims.condemning(store, "0" * 64, time.time(), GRACE) as may_go:
        assert not may_go
    claims.claim(store, "1" * 64, seconds=3600)
    age(store, layout.claims("1" * 64))
    with claims.condemning(store, "1" * 64, time.time(), GRACE) as may_go:
        assert not may_go
    with (
        claims.condemning(store, "2" * 64, time.time(), GRACE) as first,
        claims.condemning(store, "2" * 64, time.time(), GRACE) as second,
    ):
        assert (first, second) == (True, False)


def test_a_mark_of_one_that_was_killed_holds_nobody_up(tmp_path):
    store = LocalStore.from_url(str(tmp_path / "store"))
    digest = "3" * 64
    long_ago = canonical.encode(time.time() - 2 * claims.PATIENCE)
    store.create(layout.condemned(digest), long_ago)
    claims.claim(store, digest)
    assert not store.exists(layout.condemned(digest))
    store.create(layout.condemned(digest), long_ago)
    age(store, layout.condemned(digest).rpartition("/")[0])
    with claims.condemning(store, digest, time.time(), GRACE) as may_go:
        assert not may_go
    with claims.condemning(store, digest, time.time(), GRACE) as may_go:
        assert may_go


def test_beside_runs_that_make_the_same_again(tmp_path):
    """Workers write and name what is being collected as garbage all the while; what they have named is there."""
    store = LocalStore.from_url(str(tmp_path / "store"))
    digests = [old_artifact(tmp_path, store, f"text {number}") for number in range(12)]
    named, errors, stop = [], [], threading.Event()

    def work(worker):
        try:
            for number in range(24):
                text = f"text {(number * 5 + worker) % 12}"
                manifest = write_blob(tmp_path / str(worker), store, text)
                run = f"w{worker}n{number}"
                artifact = Artifact(digest=manifest.digest, materializer="text", type="str")
                record = Record(run=run, step="s", state="succeeded", outputs={"o": OutputRecord(artifact=artifact)})
                store.create(layout.run("shop", run), records.encode(info(run)))
                store.create(layout.record("shop", run, "s", None), records.encode(record))
                named.append(manifest.digest)
                Blobs(store, tmp_path / str(worker) / "work").manifest(manifest.digest)
        except Exception as error:
            errors.append(error)

    def sweep():
        while not stop.is_set():
            Collection(store, [], grace=claims.SHORTEST_GRACE).collect()

    sweeper = threading.Thread(target=sweep)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in (sweeper, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    sweeper.join()
    assert errors == []
    assert set(named) == set(digests)
    blobs = Blobs(store, tmp_path / "check")
    for digest in digests:
        blobs.verify(blobs.manifest(digest))


# A project

MODULE = """
import pandas as pd

from turnout import File, pipeline, step


@step
def rows(path: File, count: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(count)})


@step
def fit(rows: pd.DataFrame) -> dict:
    return {"n": [float(x) for x in range(2000 + len(rows))]}


@pipeline
def flow(path: File = "rows.csv", count: int = 3):
    fit(rows(path, count))
"""


project = project_fixture(
    {"gc_work.py": textwrap.dedent(MODULE), "rows.csv": "x\n1\n", "stacks/here.yaml": IN_PROCESS},
    name="shop",
    dependencies=(),
    more=HERE,
    module="gc_work",
)


def loaded(run):
    return [len(run["rows"].load()), len(run["fit"].load()["n"])]


def test_runs_of_a_project_go_and_what_is_kept_can_be_loaded(project, call):
    made = [project.flow.run(count=count) for count in (1, 2, 3, 4)]
    turnout.promote(made[0], "fit", "champion")
    store = made[0].workspace.store
    before = {entry.key for entry in store.list("")}
    said = json.loads(call("artifacts", "gc", "--keep-runs", "1", "--grace", "0", "--dry-run", "--json").out)
    assert {entry.key for entry in store.list("")} == before
    assert (said["dry_run"], said["collected"]["runs"]) == (True, sorted(run.id for run in made[1:3]))
    done = json.loads(call("artifacts", "gc", "--keep-runs", "1", "--grace", "0", "--json").out)
    assert done == {**said, "dry_run": False}
    assert done["collected"]["freed"]["artifacts"]["count"] == 4
    gone = before - {entry.key for entry in store.list("")}
    assert done["bytes"] > 0
    assert {key.split("/")[2] for key in gone if key.startswith("shop/runs/")} == {run.id for run in made[1:3]}
    assert [run.id for run in turnout.runs()] == [made[3].id, made[0].id]
    assert loaded(made[3].refresh()) == [4, 2004]
    assert loaded(made[0].refresh()) == [1, 2001]  # an alias names it
    assert len(turnout.artifact("champion").load()["n"]) == 2001
    again = project.flow.run(count=2)
    assert loaded(again) == [2, 2002]


def test_the_grace_period_and_what_is_said(project, call):
    made = [project.flow.run(count=count) for count in (1, 2)]
    store = made[0].workspace.store
    said = call("artifacts", "gc", "--older-than", "0", "--grace", "2h")
    assert [line.split("\t")[0] for line in said.out.splitlines()] == ["runs", "all"]
    assert "more, of the runs that go now" in said.err
    assert [run.id for run in turnout.runs()] == [made[1].id]  # the newest success stays
    age(store, "")
    said = call("artifacts", "gc", "--grace", "2h")
    kinds = {line.split("\t")[0]: line.split("\t")[1] for line in said.out.splitlines()}
    assert kinds["artifacts"] == "2"
    assert said.err == ""
    assert loaded(made[1].refresh()) == [2, 2002]
    assert call("artifacts", "gc", "--grace", "2h").out == "all\t\t0 bytes\n"
    assert "shorter than what writers rely on" in call("artifacts", "gc", "--grace", "1h", code=2).err
    assert "not a span of time" in call("artifacts", "gc", "--grace", "soon", code=2).err


def test_what_an_engine_was_given_is_kept_until_it_is_taken_back(project, monkeypatch):
    launch = Launch.of(project.flow)
    orchestrator = type(launch.workspace.orchestrator)
    monkeypatch.setattr(orchestrator, "publish", lambda self, plan, bundle, store: "there")
    monkeypatch.setattr(orchestrator, "unpublish", lambda self, plan: "there")
    store = launch.workspace.store
    assert launch.activate() == "there"
    age(store, "")
    for entry in list(store.list("claims")):
        store.delete(entry.key)
    content = {entry.key for entry in store.list("") if not entry.key.startswith("exports/")}
    assert {key.split("/")[0] for key in content} == {"artifacts", "code", "plans"}
    collect_garbage(launch.workspace)
    assert content <= {entry.key for entry in store.list("")}
    withdraw(launch.workspace, launch.plan)
    collect_garbage(launch.workspace)
    assert list(store.list("")) == []


def test_what_was_submitted_is_kept_until_its_run_begins(project):
    launch = Launch.of(project.flow)
    for _ in range(3):
        launch.publish()
    assert len(list(launch.workspace.store.list("claims"))) == 3  # of file, code and plan
    store = launch.workspace.store
    age(store, "")  # it waits in its engine's queue
    before = [entry.key for entry in store.list("")]
    collect_garbage(launch.workspace)
    assert [entry.key for entry in store.list("")] == before
