"""The local engine when steps, workers and children misbehave: each is a failure on record, and nothing hangs."""

from __future__ import annotations

import itertools
import os

import pytest
from waiting import alive

from turnout.base import clock
from turnout.engines import processes


def failures(run, label):
    return [attempt.failure for attempt in run[label].summary.attempts if attempt.failure]


def test_independent_branches_go_on_after_a_failure(project):
    run, state, changes = project.run(
        """
        @step
        def broken() -> int:
            raise ValueError("no")

        @step
        def needs(x: int) -> int:
            return x

        @step
        def free(n: int) -> int:
            return n

        @pipeline
        def flow():
            needs(broken())
            for n in range(4):
                free.named(f"free_{n}")(n)
        """
    )
    assert state == "failed"
    assert {one.name: one.state for one in run} == {
        "broken": "failed",
        "needs": "not run",
        **{f"free_{n}": "succeeded" for n in range(4)},
    }
    assert [change.state for change in changes if change.step == "needs"] == ["blocked"]
    (failure,) = failures(run, "broken")
    assert failure.message == "ValueError: no"
    assert f"{project.module}.py" in failure.traceback
    assert "turnout/" not in failure.traceback


def test_fail_fast_starts_nothing_more_and_lets_what_runs_end(project):
    project.stack("{type: local, workers: 2, fail_fast: true}")
    run, state, _ = project.run(
        """
        @step
        def broken() -> int:
            raise ValueError("no")

        @step
        def slow() -> int:
            time.sleep(0.5)
            return 1

        @step
        def late(n: int) -> int:
            return n

        @pipeline
        def flow():
            broken()
            x = slow()
            for n in range(3):
                late.named(f"late_{n}")(x)
        """
    )
    assert state == "failed"
    assert [run[name].state for name in ("slow", "late_0", "late_2")] == ["succeeded", "not run", "not run"]


def test_retries_wait_as_long_as_they_say_and_each_is_on_record(project):
    run, state, changes = project.run(
        """
        @step(retries=2, retry_delay=0.1, retry_backoff=2)
        def flaky() -> int:
            raise ValueError("again")

        @step(retries=2)
        def mended() -> int:
            here = Path(os.environ["TURNOUT_WORK"], "tries")
            here.open("a").write("x")
            if here.stat().st_size < 3:
                raise ValueError("again")
            return here.stat().st_size

        @pipeline
        def flow():
            flaky()
            mended()
        """
    )
    assert state == "failed"
    attempts = run["flaky"].summary.attempts
    assert len(attempts) == 3
    gaps = [clock.seconds_between(a.ended, b.started) for a, b in itertools.pairwise(attempts)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert [change.seconds for change in changes if change.state == "retrying" and change.step == "flaky"] == [0.1, 0.2]
    assert (run["mended"].load(), len(run["mended"].summary.attempts)) == (3, 3)


def test_a_timeout_stops_the_step_and_all_it_started(project):
    run, state, _ = project.run(
        """
        @step(timeout=6)
        def stuck(folder: str) -> int:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "600"])
            daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
            if os.fork() == 0:
                time.sleep(600)
            twice = ["sh", "-c", "sleep 600 >/dev/null & echo $!"]
            orphan = subprocess.run(twice, stdout=subprocess.PIPE, start_new_session=True)
            pids = [os.getpid(), child.pid, daemon.pid, int(orphan.stdout)]
            Path(folder, "pids").write_text(" ".join(map(str, pids)))
            time.sleep(600)

        @step
        def other() -> int:
            return 1

        @pipeline
        def flow(folder: str):
            stuck(folder)
            other()
        """,
        folder=str(project.folder),
    )
    assert state == "failed"
    assert run["other"].state == "succeeded"
    (failure,) = failures(run, "stuck")
    assert (failure.type, failure.message) == ("Timeout", "stuck was stopped at its timeout of 6 seconds")
    assert failure.message in project.log(run, "stuck")
    pids = [int(pid) for pid in (project.folder / "pids").read_text().split()]
    assert len(pids) == 4
    assert not any(alive(pid) for pid in pids)


def test_a_timed_out_step_is_tried_again(project):
    run, state, _ = project.run(
        """
        @step(timeout=2, retries=1)
        def slow(folder: str) -> int:
            if not Path(folder, "seen").exists():
                Path(folder, "seen").touch()
                time.sleep(600)
            return 1

        @pipeline
        def flow(folder: str):
            slow(folder)
        """,
        folder=str(project.folder),
    )
    assert state == "succeeded"
    assert [attempt.state for attempt in run["slow"].summary.attempts] == ["failed", "succeeded"]


DEATHS = {
    "os.kill(os.getpid(), signal.SIGKILL)": "its process was killed by SIGKILL (out of memory?)",
    "os._exit(3)": "its process ended with exit code 3",
    "import ctypes; ctypes.string_at(0)": "its process was killed by SIGSEGV",
    "os.abort()": "its process was killed by SIGABRT",
    "os.closerange(3, 64); time.sleep(600)": "its process was killed by SIGTERM",
}


def test_a_worker_that_dies_is_a_failed_attempt_that_is_tried_again(project):
    steps = "\n".join(
        f"""
@step(retries=1)
def death_{number}(folder: str) -> int:
    print("last words")
    if not Path(folder, "{number}").exists():
        Path(folder, "{number}").touch()
        {code}
    return {number}
"""
        for number, code in enumerate(DEATHS)
    )
    calls = "".join(f"    death_{number}(folder)\n" for number in range(len(DEATHS)))
    run, state, _ = project.run(f"{steps}\n@pipeline\ndef flow(folder: str):\n{calls}", folder=str(project.folder))
    assert state == "succeeded"
    for number, words in enumerate(DEATHS.values()):
        (failure,) = failures(run, f"death_{number}")
        assert failure.message == f"death_{number}: {words}"
        assert run[f"death_{number}"].load() == number
        assert project.log(run, f"death_{number}").splitlines() == [
            "last words",
            f"turnout: {failure.message}",
            "last words",
        ]


def test_what_a_step_prints_is_in_its_log_at_once_and_in_order(project):
    run, state, _ = project.run(
        """
        @step
        def tell(folder: str) -> str:
            print("first")
            (log,) = Path(folder).rglob("tell.log")
            seen = log.read_text()
            subprocess.run(["echo", "a child"], check=True)
            print("an error", file=sys.stderr)
            print("last")
            return seen

        @pipeline
        def flow(folder: str):
            tell(folder)
        """,
        folder=str(project.folder),
    )
    assert state == "succeeded"
    assert run["tell"].load() == "first\n"
    assert project.log(run, "tell") == "first\na child\nan error\nlast\n"


def test_a_death_after_the_commit_is_no_failure(project):
    run, state, _ = project.run(
        """
        @step
        def quick() -> int:
            from turnout.runtime import attempt as module
            module.result_of = lambda *given, **more: os._exit(9)
            return 7

        @step
        def after(x: int) -> int:
            return x + 1

        @pipeline
        def flow():
            after(quick())
        """
    )
    assert state == "succeeded"
    assert run["after"].load() == 8


def test_a_worker_that_dies_while_idle_is_replaced(project):
    run, _, _ = project.run(
        """
        @step
        def bomb() -> int:
            threading.Timer(0.2, os._exit, [1]).start()
            return os.getpid()

        @step
        def slow(x: int) -> int:
            time.sleep(0.6)
            return x

        @step
        def last(x: int) -> int:
            return os.getpid()

        @pipeline
        def flow():
            for n in range(2):
                last.named(f"last_{n}")(slow.named(f"slow_{n}")(n))
            bomb()
        """
    )
    assert run["bomb"].state in {"succeeded", "failed"}
    assert [run[f"last_{n}"].state for n in range(2)] == ["succeeded", "succeeded"]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("sys.exit(0)", "builtins.SystemExit", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "builtins.KeyboardInterrupt", "KeyboardInterrupt"),
        ("return (n for n in range(3))", "turnout.base.errors.ArtifactError", None),
        ("return threading.Lock()", "turnout.base.errors.ArtifactError", None),
        ("return eval('(' * 300)", "builtins.SyntaxError", None),
        ("return len(5)", "builtins.TypeError", None),
        ("raise BrokenPipeError", "builtins.BrokenPipeError", "BrokenPipeError"),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", None, None),
    ],
)
def test_whatever_a_step_raises_or_returns_is_a_failure_of_that_step(project, code, kind, message):
    run, state, _ = project.run(
        f"""
        @step
        def odd() -> Any:
            {code}

        @step
        def fine() -> int:
            return 1

        @pipeline
        def flow():
            odd()
            fine.named("fine_1")()
            fine.named("fine_2")()
        """
    )
    assert state == "failed"
    assert [run["fine_1"].state, run["fine_2"].state] == ["succeeded", "succeeded"]
    (failure,) = failures(run, "odd")
    assert kind is None or failure.type == kind
    assert message is None or failure.message == message


def test_threads_and_children_that_a_step_leaves_behind_end_with_the_run(project):
    run, state, _ = project.run(
        """
        @step
        def leave() -> list:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            return [os.getpid(), child.pid]

        @step
        def many(n: int) -> int:
            import multiprocessing
            with multiprocessing.get_context("fork").Pool(2) as pool:
                return sum(pool.map(abs, range(-n, 0)))

        @pipeline
        def flow():
            leave()
            many(10)
        """
    )
    assert state == "succeeded"
    assert run["many"].load() == 55
    assert not any(alive(pid) for pid in run["leave"].load())


def test_a_forked_child_neither_answers_nor_hides_the_death_of_its_worker(project):
    run, state, _ = project.run(
        """
        @step
        def orphaning() -> int:
            if os.fork() == 0:
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)

        @pipeline
        def flow():
            orphaning()
        """
    )
    assert state == "failed"
    assert "SIGKILL" in failures(run, "orphaning")[0].message


def test_a_worker_that_cannot_join_the_run_fails_its_step_and_says_why(project):
    handle, _ = project.start(
        """
        @step
        def hold() -> int:
            return 1

        @pipeline
        def flow():
            hold()
        """
    )
    handle.wait(60)
    from turnout.engines.local.engine import Engine
    from turnout.model.records import Options, Submission
    from turnout.runtime.joining import join

    submission = Submission(options=Options(uuid="second"))
    session = join(handle.session.run.store, handle.session.run.plan.digest, "second", submission)
    engine = Engine(session, workers=1, logs=project.folder / "logs")
    engine._environ = {"TURNOUT_STORE": "gopher://nowhere"}
    assert engine.run().state == "failed"
    assert "gopher" in (project.folder / "logs" / "hold.log").read_text()


def test_a_watcher_that_fails_does_not_stop_the_run(project):
    from turnout.api.launch import Launch
    from turnout.model.records import Options

    project.write(
        """
        @step
        def one() -> int:
            return 1

        @pipeline
        def flow():
            one()
        """
    )
    launch = Launch.of(project.pipeline(), stack=str(project.folder / "stack.yaml"))
    told = []

    def watch(change):
        told.append(change)
        raise BrokenPipeError

    launch.workspace.orchestrator.watch = watch
    assert launch.submit({}, Options()).wait(60) == "succeeded"
    assert len(told) == 1


def test_processes_are_found_by_their_mark_and_ended(tmp_path):
    import subprocess

    mark = processes.mark("family", "name")
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo on; while :; do sleep 0.1; done"],
        env={**os.environ, **mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    assert stubborn.pid in processes.marked("family.name")
    import time

    processes.end("family.name", time.monotonic() + 0.2)
    assert stubborn.wait() == -9
    stubborn.stdout.close()
    assert processes.marked("family.name") == []
