"""``python -m turnout.runtime``, in processes of its own, as engines call it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.model.expressions import Compare, Const, Ref
from turnout.model.plan import Environment
from turnout.model.settings import Resources
from turnout.runtime import __main__ as cli
from turnout.runtime import sealed
from turnout.stores import layout
from turnout.stores.local import LocalStore

SOURCE = """
    import atexit, gc, os, signal, sys, time

    def one(given=None):
        print("hello", end="")
        return 1

    def numbers(count):
        return list(range(count))

    def keep(value):
        return value

    def broken():
        raise ValueError("no")

    def process():
        return {
            "hash": hash("a text"), "zone": time.tzname[0], "seed": os.environ["PYTHONHASHSEED"],
            "threads": os.environ["OMP_NUM_THREADS"], "utf8": sys.flags.utf8_mode, "utc": time.localtime(0).tm_hour,
            "random": sys.flags.hash_randomization, "collects": gc.isenabled(),
        }

    def noisy():
        atexit.register(print, "printed on the way out")
        print("printed by the step")
        print('{"state": "failed"}')
        return 1

    def leave():
        sys.exit(0)

    def vanish():
        os._exit(7)

    def die_once(marker):
        if not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def submission(params=None, **options) -> str:
    return json.dumps({"params": params or {}, "options": options})


def test_committed_adopted_skipped_retryable_final(demo):
    """The five outcomes of a call, each by its exit code and its last line."""
    demo.make(
        demo.step("one"),
        demo.gate("good", Compare("==", Ref("it"), Const(2)), it=demo.out("one")),
        demo.step("inner", "one", guards=("good",)),
        demo.step("broken"),
        demo.step("late", "one", given=demo.out("broken")),
    )
    found = {}
    for name in ("one", "one", "good", "inner", "late", "broken", "absent"):
        done = demo.process("step", "--step", name)
        found.setdefault(name, []).append((done.returncode, demo.outcome(done)))
    assert found["one"][0] == (0, {"state": "succeeded"})
    message = f"one was committed before; to run it again: turnout runs invalidate {demo.infos()[0].id} one"
    assert found["one"][1] == (0, {"state": "succeeded", "adopted": True, "message": message})
    assert found["good"] == [(0, {"state": "succeeded", "values": {"good": False}})]
    assert found["inner"] == [(99, {"state": "skipped", "message": "the guard good was false"})]
    code, outcome = found["late"][0]
    assert (code, outcome["retryable"]) == (1, True)
    assert outcome["message"] == "late cannot run yet: not committed are broken (failed, or still to run)"
    assert found["broken"] == [(1, {"state": "failed", "retryable": True, "message": "ValueError: no"})]
    code, outcome = found["absent"][0]
    assert code == 2
    assert "retryable" not in outcome
    assert "has no step 'absent'" in outcome["message"]


def test_a_map_from_end_to_end(demo, monkeypatch):
    demo.make(
        demo.step("numbers", lists=True, count=demo.param("n")),
        demo.step("keep", value=demo.each("numbers")),
        params=(demo.declare("n", "int"),),
    )
    text = submission({"n": 2.0}, tags={"team": "ops"})
    done = demo.process("step", "--step", "numbers", TURNOUT_PARAMS=text)
    assert demo.outcome(done) == {"state": "succeeded", "elements": {"output": 2}}
    for index in range(2):
        assert demo.process("step", "--step", "keep", "--index", str(index), TURNOUT_PARAMS=text).returncode == 0
    wrong = demo.process("step", "--step", "keep", "--index", "-1")
    assert (wrong.returncode, "has 2 elements" in wrong.stderr) == (2, True)
    done = demo.process("finish", TURNOUT_PARAMS=text)
    assert (done.returncode, demo.outcome(done)["message"]) == (0, f"the run {demo.infos()[0].id} succeeded")
    assert demo.marks()[0].steps == {"succeeded": 3}
    assert demo.infos()[0].options.tags == {"team": "ops"}


def test_the_outcome_is_a_line_of_its_own_and_the_last(demo):
    demo.make(demo.step("one"), demo.step("noisy"))
    done = demo.process("step", "--step", "one")
    assert done.stdout.splitlines() == ["hello", '{"state":"succeeded"}']
    done = demo.process("step", "--step", "noisy")
    assert demo.outcome(done) == {"state": "succeeded"}
    assert "printed by the step" in done.stdout
    assert "printed on the way out" in done.stderr


def test_the_outcome_file(demo):
    demo.make(demo.step("one"), demo.step("broken"))
    target = demo.folder / "new" / "folder" / "outcome.json"
    assert demo.process("step", "--step", "one", "--outcome", str(target)).returncode == 0
    assert json.loads(target.read_text()) == {"state": "succeeded"}
    assert demo.process("step", "--step", "broken", "--outcome", str(target)).returncode == 1
    assert json.loads(target.read_text())["state"] == "failed"
    assert [path.name for path in target.parent.iterdir()] == ["outcome.json"]


def test_an_outcome_file_that_cannot_be_written_is_worth_another_try(demo):
    demo.make(demo.step("one"))
    (demo.folder / "file").touch()
    done = demo.process("step", "--step", "one", "--outcome", str(demo.folder / "file" / "outcome.json"))
    assert done.returncode == 1
    assert "turnout: the outcome cannot be written to" in done.stderr
    assert demo.outcome(done)["state"] == "succeeded"
    assert "Traceback" not in done.stderr


def test_a_step_runs_sealed_whatever_the_engine_has_set(demo):
    demo.make(demo.step("process"), demo.step("wide", "process", resources=Resources(cpu=1.5)))
    odd = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "64", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for step, run, environ in [("process", "a", odd), ("process", "b", {}), ("wide", "a", odd)]:
        assert demo.process("step", "--step", step, run=run, **environ).returncode == 0
    first, second, wide = demo.value("process", run="a"), demo.value("process", run="b"), demo.value("wide", run="a")
    assert first == second
    assert {**first, "hash": 0} == {
        "hash": 0,
        "zone": "UTC",
        "seed": "0",
        "threads": "1",
        "utf8": 1,
        "utc": 0,
        "random": 0,
        "collects": True,
    }
    assert wide == {**first, "threads": "2"}
    assert demo.record("process", run="a").sealed
    assert demo.attempts("process")[0].host.sealed


def test_an_inherited_mark_does_not_seal_a_process(demo):
    """A step of a sealed process may start turnout itself, with a hash seed of its own."""
    demo.make(demo.step("process"))
    done = demo.process("step", "--step", "process", **{sealed.MARK: "1", "PYTHONHASHSEED": "random"})
    assert done.returncode == 0
    assert demo.value("process")["random"] == 0


def test_leaving_early_is_no_success(demo):
    demo.make(demo.step("leave"), demo.step("vanish"))
    done = demo.process("step", "--step", "leave")
    assert (done.returncode, demo.outcome(done)["message"]) == (1, "SystemExit: 0")
    assert demo.process("step", "--step", "vanish").returncode == 7
    assert demo.record("vanish") is None


def test_a_worker_that_is_killed_leaves_nothing_half_done(demo):
    demo.make(demo.step("die_once", marker=str(demo.folder / "marker")))
    assert demo.process("step", "--step", "die_once").returncode == -9
    assert not (demo.run_folder() / "steps").exists()
    done = demo.process("step", "--step", "die_once")
    assert (done.returncode, demo.outcome(done)) == (0, {"state": "succeeded"})


@pytest.mark.parametrize("command", ["step", "finish"])
def test_without_a_store(demo, command, snapshot):
    demo.make(demo.step("one"))
    arguments = ["--step", "one"] if command == "step" else []
    done = demo.process(command, *arguments, TURNOUT_STORE=None)
    assert done.returncode == 2
    assert demo.outcome(done)["message"] == snapshot(name="no store")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("store", "code", "message"),
    [
        ("{folder}/elsewhere", 2, "is not in"),
        ("ftp://host/x", 1, "there is no artifact store with URLs of ftp://"),
        ('{{"root": ', 2, "starts as a JSON object and is none"),
        ('{{"root": "{folder}/store", "no": 1}}', 2, "the settings of the artifact store in TURNOUT_STORE are wrong"),
        ("{folder}/file", 2, ""),
    ],
)
def test_a_store_that_is_wrong_or_not_there(demo, store, code, message):
    demo.make(demo.step("one"))
    (demo.folder / "file").touch()
    done = demo.process("step", "--step", "one", TURNOUT_STORE=store.format(folder=demo.folder))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert message in demo.outcome(done)["message"]
    assert not (demo.folder / "elsewhere").exists()


def test_a_store_that_cannot_be_written_is_worth_another_try(demo):
    demo.make(demo.step("one"))
    (demo.folder / "store" / "bench").write_text("in the way")
    done = demo.process("step", "--step", "one")
    assert done.returncode == 1
    assert str(demo.folder / "store") in demo.outcome(done)["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TURNOUT_PARAMS cannot be read"),
        ('{"params": {"n": "many"}}', "the parameter 'n' takes an int, not 'many'"),
        ('{"params": {"m": 1}}', "the pipeline demo has no parameter 'm'"),
        ("", "the parameter 'n' of demo is not given"),
    ],
)
def test_parameters_that_are_wrong_are_final(demo, text, message):
    demo.make(demo.step("numbers", count=demo.param("n")), params=(demo.declare("n", "int"),))
    for arguments in (["step", "--step", "numbers"], ["finish"]):
        done = demo.process(*arguments, TURNOUT_PARAMS=text)
        assert (done.returncode, demo.outcome(done)["state"]) == (2, "failed")
        assert message in demo.outcome(done)["message"]
        assert "Traceback" not in done.stderr
    assert demo.infos() == []


def _replace_plan(demo, **changed) -> str:
    """Put a changed plan into the store under its own digest."""
    path = demo.folder / "store" / layout.plan(demo.plan.digest)
    data = canonical.encode({**json.loads(path.read_bytes()), **changed})
    (path.parent / f"{canonical.digest(data)}.json").write_bytes(data)
    return canonical.digest(data)


def test_plans_that_cannot_be_used_are_final(demo, monkeypatch, capsys):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))
    plans = demo.folder / "store" / "plans"
    (plans / f"{'a' * 64}.json").write_bytes((plans / f"{demo.plan.digest}.json").read_bytes())
    cut = (plans / f"{demo.plan.digest}.json").read_bytes()[:100]
    (plans / f"{canonical.digest(cut)}.json").write_bytes(cut)
    wanted = {
        "0" * 64: "the plan 000000000000 is not in ",
        "a" * 64: "is damaged",
        canonical.digest(cut): "cannot be read",
        "../../etc/passwd": "is not the digest of a plan",
        _replace_plan(demo, format=9): "has format 9; this turnout",
        _replace_plan(demo, runtime="99.0.0"): "needs turnout 99.0.0 or newer on its workers; this is",
        _replace_plan(demo, steps="none"): "cannot be read",
    }
    for digest, message in wanted.items():
        code = cli.main(["step", "--plan", digest, "--engine-run", "r", "--step", "one"])
        printed = capsys.readouterr()
        assert code == 2, digest
        assert message in json.loads(printed.out.splitlines()[-1])["message"]
        assert message in printed.err
    assert demo.infos() == []


def test_native_ids_as_an_engine_gives_them(demo):
    demo.make(demo.step("one"))
    natives = ["manual__2026-03-01T06:00:00+00:00", "läufe/../x $(reboot)"]
    for native in natives:
        done = demo.process("step", "--step", "one", run=native)
        assert done.returncode == 0, done.stderr
    done = demo.process("step", "--step", "one", "--engine-run", "--", run="")
    assert done.returncode == 2
    assert {info.engine_run for info in demo.infos()} == set(natives)


def test_a_native_id_that_is_no_text_is_final(demo, monkeypatch, capsys):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))
    for native in ("", "\udcff"):
        assert cli.main(["finish", "--plan", demo.plan.digest, "--engine-run", native]) == 2
        assert "the engine's own id of the run" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["step"], ["run"], ["step", "--plan", "x", "--engine-run", "y"]])
def test_wrong_arguments_are_final(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: python -m turnout.runtime" in capsys.readouterr().err


def test_an_error_of_our_own_is_told_in_the_engines_words(demo, monkeypatch, capsys):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))

    def broken(*arguments: object, cancelled: bool) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("turnout.runtime.finish.finish_run", broken)
    assert cli.main(["finish", "--plan", demo.plan.digest, "--engine-run", "r"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1]) == {
        "state": "failed",
        "retryable": True,
        "message": "MemoryError: no room",
    }
    assert "Traceback" in printed.err


@pytest.mark.parametrize(
    ("options", "said"), [([], "failed; not committed: one"), (["--cancelled"], "was cancelled; not committed: one")]
)
def test_the_end_of_a_run_that_has_not_succeeded_is_marked_and_exits_2(demo, monkeypatch, capsys, options, said):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))
    for _ in range(2):
        assert cli.main(["finish", "--plan", demo.plan.digest, "--engine-run", "r", *options]) == 2
        assert f"turnout: the run {demo.infos()[0].id} {said}\n" in capsys.readouterr().err
    assert len(demo.marks()) == 1


def test_an_end_that_cannot_be_marked_exits_1(demo, monkeypatch):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))
    demo.call("one", run="r")

    def unreachable(*_):
        raise ArtifactError("the store does not answer")

    monkeypatch.setattr(LocalStore, "create", unreachable)
    assert cli.main(["finish", "--plan", demo.plan.digest, "--engine-run", "r"]) == 1


# a bundle


def bundle(demo) -> Path:
    """Move plan and code out of the store into a folder, as an engine that carries them has them."""
    folder = demo.folder / "bundle"
    for name in ("plans", "code"):
        shutil.move(demo.folder / "store" / name, folder / name)
    return folder


def test_a_bundle_fills_an_empty_store(demo):
    demo.make(demo.step("one"))
    folder = bundle(demo)
    assert demo.process("step", "--step", "one").returncode == 2
    for _ in range(2):
        done = demo.process("step", "--step", "one", "--bundle", str(folder))
        assert done.returncode == 0, done.stderr
    assert demo.process("finish").returncode == 0


def test_a_damaged_bundle_does_not_reach_the_store(demo, monkeypatch, capsys):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "store"))
    demo.make(demo.step("one"))
    folder = bundle(demo)
    arguments = ["step", "--plan", demo.plan.digest, "--engine-run", "r", "--step", "one", "--bundle", str(folder)]
    for path in (next((folder / "plans").iterdir()), next((folder / "code").rglob("code.zip"))):
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[:-1])
        assert cli.main(arguments) == 2
        assert "in the bundle is damaged" in capsys.readouterr().err
        path.write_bytes(whole)
    assert not (demo.folder / "store" / "plans").exists()


def test_a_folder_without_a_bundle(demo, monkeypatch, capsys):
    monkeypatch.setenv("TURNOUT_STORE", str(demo.folder / "other"))
    demo.make(demo.step("one"))
    arguments = ["step", "--plan", demo.plan.digest, "--engine-run", "r", "--step", "one"]
    assert cli.main([*arguments, "--bundle", str(demo.folder / "nowhere")]) == 2
    assert "is not in" in capsys.readouterr().err


def test_a_committed_step_needs_no_environment(demo):
    """Its packages may be gone from every index: nothing is to run."""
    environments = {"default": Environment(python="2.7", pins=("no-such-package==1",))}
    plan = demo.make(demo.step("one"), environments=environments)
    refused = demo.process("step", "--step", "one")
    assert refused.returncode != 0
    assert demo.call("one").exit_code == 0
    adopted = demo.process("step", "--step", "one")
    assert adopted.returncode == 0, adopted.stderr
    assert json.loads(adopted.stdout.splitlines()[-1])["adopted"] is True
    assert plan.steps[0].environment in environments
