"""Committing a step: once, whoever calls, however often, in whatever order; every attempt on record."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import msgspec
import pytest

from turnout.base.errors import ArtifactError, ConfigError, PlanError
from turnout.model.expressions import Compare, Const, Index, Ref
from turnout.model.plan import OutputPlan
from turnout.model.records import Submission
from turnout.model.spec import Entrypoint
from turnout.model.types import ANY
from turnout.runtime.attempt import Attempt
from turnout.runtime.finish import finish_run
from turnout.runtime.joining import join
from turnout.runtime.step import run_step
from turnout.stores import layout
from turnout.stores.stored_run import Run

SOURCE = """
    import os, sys, time
    from pathlib import Path

    def one():
        return {"pid": os.getpid(), "text": "x" * 5000}

    def tell(marker):
        with open(marker, "a") as file:
            file.write("x")
        return 1

    def once(marker):
        if not os.path.exists(marker):
            open(marker, "w").close()
            raise ConnectionError("the first of two fails")
        return 1

    def numbers(count):
        return list(range(count))

    def double(x):
        return 2 * x

    def total(xs):
        return sum(xs)

    def broken():
        deeper()

    def deeper():
        raise KeyError("no such thing")

    def chained():
        try:
            deeper()
        except KeyError as error:
            raise RuntimeError("could not") from error

    class Odd(Exception):
        def __str__(self):
            raise ValueError("no text")

    def odd():
        raise Odd

    def leave():
        sys.exit(0)

    def interrupt():
        raise KeyboardInterrupt

    def pair():
        return 1, 2, 3

    def group():
        raise ExceptionGroup("several", [KeyError("a"), ValueError("b")])
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def test_a_second_call_returns_the_record_and_says_so(demo, tmp_path):
    demo.make(demo.step("tell", marker=str(tmp_path / "marker")))
    first, second = demo.call("tell"), demo.call("tell")
    assert (first.exit_code, first.adopted) == (0, False)
    assert (second.exit_code, second.adopted) == (0, True)
    assert (tmp_path / "marker").read_text() == "x"
    assert [attempt.state for attempt in demo.attempts("tell")] == ["succeeded"]


def test_the_same_process_may_call_again(demo):
    demo.make(demo.step("one"))
    session = demo.open()
    assert [run_step(session, "one").adopted for _ in range(3)] == [False, True, True]


def test_processes_at_once_make_one_record_and_all_succeed(demo):
    """Each computes a value of its own; the record is one of theirs, and everyone is told of that one."""
    demo.make(demo.step("one"))
    command = [sys.executable, "-m", "turnout.runtime", "step", "--plan", demo.plan.digest]
    command += ["--engine-run", "run 1", "--step", "one"]
    environ = {**os.environ, "TURNOUT_STORE": str(demo.folder / "store")}
    workers = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outcomes = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert sum(not outcome.get("adopted", False) for outcome in outcomes) == 1
    assert demo.value("one")["pid"] in {worker.pid for worker in workers}
    assert len(demo.infos()) == 1
    states = {attempt.state for attempt in demo.attempts("one")}
    assert states == {"succeeded"}


def test_the_loser_of_a_race_adopts_the_winners_record(demo, monkeypatch):
    demo.make(demo.step("one"), demo.step("double", x=demo.out("one")))
    loser, winner = demo.open(), demo.open()
    commit = Run.commit

    def overtaken(self, record):
        monkeypatch.setattr(Run, "commit", commit)
        assert run_step(winner, "one").adopted is False
        return commit(self, record)

    monkeypatch.setattr(Run, "commit", overtaken)
    result = run_step(loser, "one")
    assert result.adopted
    standing = demo.record("one")
    assert loser.run.record("one", None) == standing
    assert len(demo.attempts("one")) == 2
    assert standing.attempt in {attempt.id for attempt in demo.attempts("one")}


def test_who_fails_beside_a_commit_adopts_it(demo, monkeypatch, tmp_path):
    """Of two calls at once one may fail: the step is committed all the same, and no engine need try it again."""
    demo.make(demo.step("once", marker=str(tmp_path / "marker")))
    session, write = demo.open(), Attempt._end

    def overtaken(*args):
        monkeypatch.setattr(Attempt, "_end", write)
        assert demo.call("once").adopted is False
        write(*args)

    monkeypatch.setattr(Attempt, "_end", overtaken)
    result = run_step(session, "once")
    assert (result.exit_code, result.adopted) == (0, True)
    assert session.failure is None
    assert sorted(attempt.state for attempt in demo.attempts("once")) == ["failed", "succeeded"]


def test_blobs_come_before_the_manifest_and_the_manifest_before_the_record(demo, monkeypatch):
    demo.make(demo.step("one"))
    session, keys = demo.open(), []
    for name in ("create", "create_from"):
        plain = getattr(session.run.store, name)
        monkeypatch.setattr(
            session.run.store, name, lambda key, data, plain=plain: (keys.append(key), plain(key, data))[1]
        )
    assert run_step(session, "one").exit_code == 0
    kinds = [
        "manifest"
        if key.endswith("manifest.json")
        else key.rpartition("/")[2]
        if "record" in key
        else key.split("/")[2]
        for key in keys
        if key.startswith("artifacts/") or key.endswith("record.json")
    ]
    assert kinds == ["files", "manifest", "record.json"]


def test_nothing_is_committed_when_the_store_fails_in_between(demo, monkeypatch):
    demo.make(demo.step("one"))
    session = demo.open()
    plain = session.run.store.create

    def failing(key, data):
        if key.endswith("manifest.json"):
            raise ArtifactError("the store is gone")
        return plain(key, data)

    monkeypatch.setattr(session.run.store, "create", failing)
    result = run_step(session, "one")
    assert (result.exit_code, result.message) == (1, "the store is gone")
    assert demo.record("one") is None
    monkeypatch.undo()
    monkeypatch.setenv("TURNOUT_CACHE", str(demo.folder / "cache"))
    assert demo.call("one").exit_code == 0
    assert [attempt.state for attempt in demo.attempts("one")] == ["failed", "succeeded"]


def test_a_failure_is_on_record_with_the_users_own_frames(demo):
    demo.make(demo.step("broken"))
    result = demo.call("broken")
    assert (result.exit_code, result.retryable) == (1, True)
    (attempt,) = demo.attempts("broken")
    assert attempt.state == "failed"
    failure = attempt.failure
    assert (failure.type, failure.message) == ("builtins.KeyError", "KeyError: 'no such thing'")
    file = f"{demo.module}.py"
    lines = [line for line in failure.traceback.splitlines() if line.lstrip().startswith("File ")]
    assert [line.split(", in ")[1] for line in lines] == ["broken", "deeper"]
    assert all(line.startswith(f'  File "{file}", line ') for line in lines)
    assert demo.record("broken") is None


def test_frames_of_causes_are_trimmed_too(demo):
    demo.make(demo.step("chained"))
    demo.call("chained")
    text = demo.attempts("chained")[0].failure.traceback
    assert "KeyError: 'no such thing'" in text
    assert "The above exception was the direct cause" in text
    assert "turnout/runtime" not in text
    assert str(demo.folder) not in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no exception groups")
def test_frames_of_a_group_are_trimmed_too(demo):
    demo.make(demo.step("group"))
    demo.call("group")
    text = demo.attempts("group")[0].failure.traceback
    assert "ValueError: b" in text
    assert "turnout/runtime" not in text


def test_frames_are_relative_where_the_cache_is_reached_by_a_link(demo, monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "link"))
    demo.make(demo.step("broken"))
    demo.call("broken")
    assert str(tmp_path) not in demo.attempts("broken")[0].failure.traceback


def test_an_exception_without_a_text_is_a_failure_like_any_other(demo):
    demo.make(demo.step("odd"))
    assert demo.call("odd").message == "Odd: (its text cannot be made)"
    assert demo.attempts("odd")[0].failure.type.endswith(".Odd")


def test_leaving_the_process_is_no_success(demo):
    demo.make(demo.step("leave"))
    assert demo.call("leave").exit_code == 1
    assert demo.record("leave") is None
    assert demo.attempts("leave")[0].failure.message == "SystemExit: 0"


def test_an_interrupt_is_on_record_and_goes_on_to_the_caller(demo):
    demo.make(demo.step("interrupt"))
    with pytest.raises(KeyboardInterrupt):
        demo.call("interrupt")
    assert demo.attempts("interrupt")[0].failure.type == "builtins.KeyboardInterrupt"


def test_the_wrong_number_of_outputs(demo):
    outputs = tuple(OutputPlan(name=name, type=ANY) for name in ("left", "right"))
    demo.make(demo.step("pair", outputs=outputs))
    assert "declares 2 outputs and returned 3 values" in demo.call("pair").message


def test_an_unsealed_commit_is_marked(demo):
    demo.make(demo.step("one"))
    demo.call("one")
    assert demo.record("one").sealed is False
    assert demo.attempts("one")[0].host.sealed is False


def test_a_zombie_that_ends_late_changes_nothing(demo, monkeypatch):
    """A worker that was thought lost finishes after a retry has committed and the run has ended."""
    demo.make(demo.step("one"))
    zombie = demo.open()
    commit = Run.commit

    def late(self, record):
        monkeypatch.setattr(Run, "commit", commit)
        assert demo.call("one").exit_code == 0
        finish_run(demo.open())
        return commit(self, record)

    monkeypatch.setattr(Run, "commit", late)
    result = run_step(zombie, "one")
    assert result.adopted
    assert zombie.run.record("one", None) == demo.record("one")
    assert len(demo.attempts("one")) == 2
    assert [mark.state for mark in demo.marks()] == ["succeeded"]


def _record_file(demo, step="one"):
    return demo.run_folder() / "steps" / step / "record.json"


def _overwrite(path, data: bytes):
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_record_of_a_newer_format_is_refused_by_name(demo):
    demo.make(demo.step("one"))
    demo.call("one")
    path = _record_file(demo)
    document = {**json.loads(path.read_bytes()), "format": 99, "outputs": "of another kind"}
    _overwrite(path, json.dumps(document).encode())
    result = demo.call("one")
    assert result.exit_code == 1
    assert "has format 99; this turnout" in result.message
    assert "install the turnout that wrote it" in result.message


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\xff\xfe[]"])
def test_a_damaged_record_is_told_and_not_taken_for_a_success(demo, damage):
    demo.make(demo.step("one"), demo.step("double", x=demo.out("one")))
    demo.call("one")
    path = _record_file(demo)
    _overwrite(path, damage(path.read_bytes()))
    for step in ("one", "double"):
        result = demo.call(step)
        assert result.exit_code == 1
        assert "cannot be read as a Record" in result.message
        assert "turnout runs invalidate" in result.message
    with pytest.raises(ArtifactError, match="cannot be read as a Record"):
        finish_run(demo.open())
    path.unlink()
    assert demo.call("one").exit_code == 0


def test_a_damaged_artifact_fails_the_consumer_and_says_which(demo):
    demo.make(demo.step("one"), demo.step("double", "total", xs=demo.out("one")))
    demo.call("one")
    digest = demo.record("one").outputs["output"].artifact.digest
    (blob,) = [p for p in (demo.folder / "store" / "artifacts" / digest / "files").rglob("*") if p.is_file()]
    _overwrite(blob, blob.read_bytes()[:-1])
    result = demo.call("double")
    assert result.exit_code == 1
    assert digest[:12] in result.message


# what a hostile engine does


def test_a_wrong_order_waits_and_mends_itself(demo):
    demo.make(
        demo.step("numbers", lists=True, count=2),
        demo.step("double", x=demo.each("numbers")),
        demo.step("total", xs=demo.all("double")),
    )
    waiting = demo.call("total")
    assert (waiting.exit_code, waiting.message) == (
        1,
        "total cannot run yet: not committed are double (failed, or still to run)",
    )
    assert demo.call("double", 0).exit_code == 1
    assert demo.call("double").exit_code == 1
    assert demo.call("numbers").elements == {"output": 2}
    assert demo.call("double", 1).exit_code == 0
    assert "not committed are double.0" in demo.call("total").message
    assert demo.call("double", 0).exit_code == 0
    assert demo.call("total").exit_code == 0
    assert demo.value("total") == 2


@pytest.mark.parametrize(
    ("step", "index", "message"),
    [
        ("numbers", 0, "the step numbers is not mapped, yet it was called with the index 0"),
        ("double", None, "the step double is mapped, and was called without an index"),
        ("double", 2, "the step double has 2 elements, and was called with the index 2"),
        ("double", -1, "the step double has 2 elements, and was called with the index -1"),
        ("double", 10**30, f"the step double has 2 elements, and was called with the index {10**30}"),
        ("triple", None, "has no step 'triple'"),
        ("../numbers", None, "has no step '../numbers'"),
        ("numbers.0", None, "has no step 'numbers.0'"),
    ],
)
def test_a_wrong_call_is_final(demo, step, index, message):
    demo.make(demo.step("numbers", lists=True, count=2), demo.step("double", x=demo.each("numbers")))
    demo.call("numbers")
    result = demo.call(step, index)
    assert result.exit_code == 2
    assert message in result.message
    assert not (demo.run_folder() / "steps" / "double").exists()


def test_lists_of_different_lengths_fail_for_good(demo):
    demo.make(
        demo.step("numbers", lists=True, count=2),
        demo.step("more", "numbers", lists=True, count=3),
        demo.step("both", "total", xs=demo.each("numbers"), other=demo.each("more")),
    )
    demo.call("numbers")
    demo.call("more")
    result = demo.call("both", 0)
    assert result.exit_code == 2
    assert "more.output has 3, numbers.output has 2" in result.message


def test_a_guard_that_cannot_be_evaluated_fails_for_good(demo):
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare(">", Index(Ref("it"), "score"), Const(1)), it=demo.out("one")),
    )
    demo.call("one")
    result = demo.call("good")
    assert result.exit_code == 2
    assert "no 'score' there" in result.message
    assert demo.attempts("good")[0].failure.retryable is False


def test_a_guard_sees_its_value_as_json(demo):
    demo.write("import numpy\ndef score():\n    return {'r2': numpy.float64(0.5), 'pair': (1, 2)}\n")
    expression = Compare("==", Index(Index(Ref("it"), "pair"), 1), Const(2))
    demo.make(demo.step("score"), demo.gate("good", expression, it=demo.out("score")))
    demo.call("score")
    assert demo.call("good").values == {"good": True}


def test_a_call_after_the_end_goes_on(demo):
    demo.make(demo.step("numbers", lists=True, count=1))
    finish_run(demo.open())
    assert demo.call("numbers").exit_code == 0
    finish_run(demo.open())
    assert [mark.state for mark in demo.marks()] == ["failed", "succeeded"]


def test_a_module_that_is_not_in_the_package_is_final(demo):
    step = demo.step("one")
    demo.make(msgspec.structs.replace(step, entrypoint=Entrypoint(module="nowhere.at_all", qualname="one")))
    result = demo.call("one")
    assert result.exit_code == 2
    assert "the code package has no module nowhere.at_all" in result.message


def test_a_function_that_is_not_in_the_module_is_final(demo):
    demo.make(demo.step("one", "absent"))
    result = demo.call("one")
    assert result.exit_code == 2
    assert f"{demo.module} has no absent" in result.message


def test_a_package_that_the_module_lacks_is_the_users_error(demo):
    demo.write("import no_such_package_anywhere\n\ndef one():\n    return 1\n")
    demo.make(demo.step("one"))
    result = demo.call("one")
    assert result.exit_code == 1
    assert result.message.startswith("ModuleNotFoundError: No module named 'no_such_package_anywhere'\n")
    assert "fix: declare a package among the dependencies" in result.message
    assert f'File "{demo.module}.py", line 1' in demo.attempts("one")[0].failure.traceback


def test_a_missing_code_package_says_what_to_do(demo):
    demo.make(demo.step("one"))
    (demo.folder / "store" / layout.code(demo.plan.code.digest)).unlink()
    result = demo.call("one")
    assert result.exit_code == 1
    assert "is not in" in result.message
    assert "publish the pipeline again" in result.message


@pytest.mark.parametrize("native", ["", "  \n"])
def test_an_empty_engine_run_is_refused(demo, native):
    demo.make(demo.step("one"))
    with pytest.raises(ConfigError, match="all runs would be one"):
        join(demo.store, demo.plan.digest, native, Submission())


@pytest.mark.parametrize("digest", ["", "../../secrets", "ABC", "0" * 63, "0" * 65])
def test_a_digest_that_is_none_is_final(demo, digest):
    with pytest.raises(PlanError, match="is not the digest of a plan"):
        join(demo.store, digest, "run", Submission())
