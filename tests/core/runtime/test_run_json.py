"""``run.json``: made by the first worker, it wins over whatever a later one brings."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from turnout.base import canonical
from turnout.base.errors import ArtifactError, ConfigError, PlanError
from turnout.base.identity import run_id
from turnout.model.plan import decode as decode_plan
from turnout.model.records import Git, Options, Submission
from turnout.runtime.joining import join
from turnout.stores import layout
from turnout.stores.local import LocalStore

SOURCE = """
    def show(value):
        return value

    def extra():
        return 1
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def test_what_the_first_worker_knows_is_kept(demo):
    git = Git("0" * 40, dirty=True)
    demo.make(demo.step("show", value=demo.param("depth")), params=(demo.declare("depth", "int", default=6),))
    demo.open(
        {"depth": 8.0},
        tags={"team": "ops"},
        started_by="ann@host",
        at="2026-03-01T07:00:00+01:00",
        interval=("2026-03-01T06:00:00Z", "2026-03-02T06:00:00+00:00"),
        git=git,
        engine_url="http://localhost/run",
        uuid="u-1",
    )
    (info,) = demo.infos()
    assert info.id == run_id("bench", "demo", "default", "run 1")
    assert (info.project, info.pipeline, info.plan, info.params) == ("bench", "demo", demo.plan.digest, {"depth": 8})
    assert (info.stack, info.orchestrator, info.instance) == ("local", "local", "default")
    assert (info.engine_run, info.engine_url, info.started_by) == ("run 1", "http://localhost/run", "ann@host")
    assert info.git == git
    assert info.options.tags == {"team": "ops"}
    assert info.logical_time == "2026-03-01T06:00:00Z"
    assert info.interval == ("2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z")
    document = json.loads((demo.run_folder() / "run.json").read_bytes())
    assert document["format"] == 2


def test_a_run_that_nobody_submits_has_the_tags_of_its_pipeline(demo):
    """As one that a schedule of the engine starts: the plan alone knows them. What a run is given besides wins."""
    demo.make(demo.step("extra"), tags={"team": "ops", "tier": "1"})
    scheduled = demo.open()
    assert scheduled.run.info.options.tags == {"team": "ops", "tier": "1"}
    triggered = demo.open(run="run 2", tags={"tier": "2", "why": "again"})
    assert triggered.run.info.options.tags == {"team": "ops", "tier": "2", "why": "again"}


def test_it_wins_over_a_redeployed_plan_and_other_parameters(demo):
    params = (demo.declare("depth", "int", default=6),)
    old = demo.make(demo.step("show", value=demo.param("depth")), params=params)
    demo.open({"depth": 8}, tags={"try": "first"})
    new = demo.make(
        demo.step("show", value=demo.param("depth")),
        demo.step("extra"),
        params=(demo.declare("depth", "str", default="none"),),
    )
    session = demo.open({"depth": "of no use"}, tags={"try": "second"})
    assert session.run.plan == old
    assert session.run.plan != new
    assert (session.run.info.params, session.run.info.options.tags) == ({"depth": 8}, {"try": "first"})
    assert demo.call("show").exit_code == 0
    assert demo.value("show") == 8
    lacking = demo.call("extra")
    assert lacking.exit_code == 2
    assert f"the run {session.run.info.id} has no step 'extra'" in lacking.message
    assert "start a new run for a changed pipeline" in lacking.message


def test_a_later_worker_with_parameters_that_do_not_fit_is_not_asked(demo):
    demo.make(demo.step("show", value=demo.param("depth")), params=(demo.declare("depth", "int"),))
    demo.open({"depth": 8})
    assert demo.open({"no": "such"}).run.info.params == {"depth": 8}


def test_nothing_is_made_when_the_first_workers_parameters_do_not_fit(demo):
    demo.make(demo.step("show", value=demo.param("depth")), params=(demo.declare("depth", "int"),))
    with pytest.raises(ConfigError, match="'depth' of demo is not given"):
        demo.open()
    assert demo.infos() == []


def test_the_plan_of_a_run_is_needed_also_by_a_redeployed_worker(demo):
    old = demo.make(demo.step("show", value=1))
    demo.open()
    demo.make(demo.step("show", value=2))
    (demo.folder / "store" / layout.plan(old.digest)).unlink()
    with pytest.raises(PlanError, match=f"the plan {old.digest[:12]} is not in "):
        demo.open()


@pytest.mark.parametrize(
    "native",
    [
        "manual__2026-03-01T06:00:00.123456+00:00",
        "scheduled__2026-03-01T06:00:00+00:00",
        "Läufe/../../etc",
        "läufe\u200b😀",
        "x" * 5000,
        "a b\nc\t$(reboot)",
        "-",
        "0",
    ],
)
def test_ids_of_runs_are_stable_and_harmless_for_any_native_id(demo, native):
    demo.make(demo.step("show", value=1))
    id_ = demo.open(run=native).run.info.id
    assert id_ == demo.open(run=native).run.info.id
    assert len(id_) == 20
    assert id_.isalnum()
    assert id_.lower() == id_
    assert (demo.folder / "store" / "bench" / "runs" / id_ / "run.json").is_file()
    assert demo.open(run=native).run.info.engine_run == native
    assert demo.call("show", run=native).exit_code == 0


def test_ids_of_runs_do_not_change_between_releases():
    assert run_id("bench", "demo", "prod", "manual__2026-03-01T06:00:00+00:00") == "62faaugtq2ldsffe6f2a"


def test_every_part_of_a_runs_identity_counts_and_none_runs_into_the_next():
    parts = [
        ("p", "a", "i", "r"),
        ("pa", "", "i", "r"),
        ("p", "ai", "", "r"),
        ("p", "a", "", "ir"),
        ("p", "a", "i", "r "),
        ("p", "a", "i", '","r'),
    ]
    assert len({run_id(*each) for each in parts}) == len(parts)


def _join(root: str, digest: str, number: int, barrier, answers) -> None:
    barrier.wait()
    session = join(LocalStore.from_url(root), digest, "the run", Submission(params={"n": number}, options=Options()))
    answers.put(session.run.info.params["n"])


def test_workers_that_race_in_processes_agree(demo):
    demo.make(demo.step("show", value=demo.param("n")), params=(demo.declare("n", "int"),))
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    arguments = (str(demo.folder / "store"), demo.plan.digest)
    workers = [context.Process(target=_join, args=(*arguments, number, barrier, answers)) for number in range(4)]
    for worker in workers:
        worker.start()
    told = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    (info,) = demo.infos()
    assert told == [info.params["n"]] * 4


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01", "2026-03-01T06:00:00 +"])
def test_a_time_that_cannot_be_read_is_refused(demo, at):
    demo.make(demo.step("show", value=1))
    with pytest.raises(ConfigError, match="'at' takes a datetime"):
        demo.open(at=at)


def test_the_logical_time_reaches_the_step_as_a_datetime(demo):
    demo.write("def show(value):\n    return [type(value).__name__, value.isoformat()]\n")
    demo.make(
        demo.step("show", value=demo.param("day")), params=(demo.declare("day", "datetime", source="logical_time"),)
    )
    demo.call("show", at="2026-03-01T06:00:00+00:00")
    assert demo.value("show") == ["datetime", "2026-03-01T06:00:00+00:00"]
    demo.call("show", run="run 2", params={"day": "2020-01-01"}, at="2026-03-01")
    assert demo.value("show", run="run 2") == ["datetime", "2020-01-01T00:00:00+00:00"]


def test_a_logical_time_that_nobody_gives_is_a_clear_error(demo, snapshot):
    demo.make(
        demo.step("show", value=demo.param("day")), params=(demo.declare("day", "datetime", source="logical_time"),)
    )
    with pytest.raises(ConfigError) as caught:
        demo.open()
    assert str(caught.value) == snapshot
    done = demo.process("step", "--step", "show")
    assert done.returncode == 2
    assert "the run's logical time" in demo.outcome(done)["message"]


def test_an_interval_that_the_engine_does_not_have(demo, snapshot):
    params = (
        demo.declare("start", "datetime", source="interval_start"),
        demo.declare("end", "datetime", source="interval_end"),
    )
    demo.make(demo.step("show", value=demo.param("end")), params=params)
    with pytest.raises(ConfigError) as caught:
        demo.open(at="2026-03-01")
    assert str(caught.value) == snapshot
    session = demo.open(interval=("2026-03-01", "2026-03-02"))
    assert session.run.info.params == {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}


def test_the_commit_that_the_code_was_published_with_is_taken_where_the_submitter_says_none(demo):
    demo.make(demo.step("show", value=1))
    origin = demo.folder / "store" / layout.code_origin(demo.plan.code.digest)
    origin.write_bytes(canonical.encode(Git("1" * 40)))
    assert demo.open().run.info.git == Git("1" * 40)
    origin.write_bytes(b"{")
    with pytest.raises(ArtifactError, match="cannot be read as a Git"):
        demo.open(run="run 2")


def test_a_damaged_one_is_told(demo):
    demo.make(demo.step("show", value=1))
    path = demo.run_folder() / "run.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ArtifactError, match=r"run\.json cannot be read as a RunInfo"):
        demo.open()


def test_one_of_a_newer_format_is_refused_by_name(demo):
    demo.make(demo.step("show", value=1))
    path = demo.run_folder() / "run.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"format":2', b'"format":7'))
    with pytest.raises(ArtifactError, match="has format 7; this turnout"):
        demo.open()


def test_a_plan_from_the_store_is_the_plan(demo):
    demo.make(demo.step("show", value=1))
    data = Path(demo.folder / "store" / layout.plan(demo.plan.digest)).read_bytes()
    assert decode_plan(data) == demo.plan


def test_the_first_worker_sees_parameters_as_every_other(demo):
    """In the order of an object's keys as well: it reaches the step, and with it what the step makes."""
    demo.make(demo.step("show", value=demo.param("tree")), params=(demo.declare("tree", "json"),))
    first = demo.open({"tree": {"b": 1, "a": {"d": 2, "c": 3}}})
    assert (
        json.dumps(first.run.info.params)
        == json.dumps(demo.open().run.info.params)
        == '{"tree": {"a": {"c": 3, "d": 2}, "b": 1}}'
    )
