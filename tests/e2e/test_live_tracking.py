"""What steps log reaches the tracker while they run, by a process beside the worker; whoever dies, it arrives once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time

import msgspec
import pytest

from turnout.base import clock
from turnout.model.records import Point
from turnout.tracking.sending import Begin, Log

COMMON = """
from turnout import log_artifact, log_params

def worker():
    "The worker that this step's process belongs to: it leads its session."
    return os.getsid(0)

def sender():
    "The process that sends what this step logs."
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and b"\\0send\\0" in (entry / "cmdline").read_bytes():
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == worker():
                        return int(entry.name)
            except OSError:
                continue
        time.sleep(0.01)
    raise AssertionError("nothing sends")
"""


@pytest.fixture
def tracked(project):
    """The project, with a tracker that keeps files; ``flush`` is set by the test."""

    def run(source: str, flush: float, **tracker):
        config = json.dumps(
            {"type": "specimen", "folder": str(project.folder / "seen"), "flush_seconds": flush, **tracker}
        )
        (project.folder / "stack.yaml").write_text(
            f"extends: local\norchestrator: {{type: local, workers: 2}}\ntracker: {config}\n"
        )
        return project.run(COMMON + textwrap.dedent(source))

    return run


def points(project, run):
    """The points of each step in the tracker, whatever attempt they are of."""
    found = {}
    for file in sorted((project.folder / "seen" / run.id / "attempts").glob("*.json")):
        known = json.loads(file.read_text())
        found.setdefault(known["step"], []).extend(known["points"][key] for key in sorted(known["points"], key=int))
    return found


def test_a_running_step_is_seen(project, tracked):
    run, state, _ = tracked(
        f"""
        SEEN = Path({str(project.folder / "seen")!r})

        @step
        def slow() -> int:
            log_metric("loss", 0.5)
            log_params({{"depth": 6}})
            until = time.monotonic() + 30
            while not (files := list(SEEN.glob("*/attempts/slow.*.json"))):
                assert time.monotonic() < until
                time.sleep(0.02)
            log_metric("loss", 0.25)
            log_artifact("note", "fine")
            assert "0.25" not in files[0].read_text()
            return 1

        @pipeline
        def flow():
            slow()
        """,
        flush=0.05,
    )
    assert state == "succeeded", project.log(run, "slow")
    assert points(project, run) == {"slow": [["loss", None, 0.5], ["loss", None, 0.25]]}
    (file,) = (project.folder / "seen" / run.id / "attempts").iterdir()
    assert json.loads(file.read_text())["params"] == {"depth": 6}
    assert (project.folder / "seen" / run.id / "artifacts" / "slow%2Fnote" / "value.json").read_text() == '"fine"\n'


def test_parallel_steps_lose_and_double_nothing(project, tracked):
    run, state, _ = tracked(
        """
        @step
        def numbers() -> list[int]:
            return list(range(8))

        @step
        def learn(part: int) -> int:
            for n in range(300):
                log_metric("loss", part * 300 + n, x=n)
            return part

        @pipeline
        def flow():
            learn.map(numbers())
        """,
        flush=0.01,
        flush_points=50,
    )
    assert state == "succeeded"
    found = points(project, run)
    assert found == {f"learn/{part}": [["loss", n, part * 300 + n] for n in range(300)] for part in range(8)}


def test_what_a_killed_worker_had_logged_arrives(project, tracked):
    run, state, _ = tracked(
        """
        @step
        def dies() -> int:
            for n in range(50):
                log_metric("loss", n)
            os.kill(os.getpid(), signal.SIGKILL)

        @pipeline
        def flow():
            dies()
        """,
        flush=60,
    )
    assert state == "failed"
    until = time.monotonic() + 30
    while not (found := points(project, run)):  # it is not waited for
        assert time.monotonic() < until
        time.sleep(0.05)
    assert [value for _, _, value in found["dies"]] == list(range(50))


def test_where_the_sender_dies_its_part_is_sent_again(project, tracked):
    run, state, _ = tracked(
        """
        @step
        def goes_on() -> int:
            log_metric("loss", 1)
            os.kill(sender(), signal.SIGKILL)
            time.sleep(0.2)
            for n in range(2, 5):
                log_metric("loss", n)
            return 1

        @pipeline
        def flow():
            goes_on()
        """,
        flush=60,
    )
    assert state == "succeeded", project.log(run, "goes_on")
    assert [value for _, _, value in points(project, run)["goes_on"]] == [1, 2, 3, 4]
    assert "tracker" not in project.log(run, "goes_on")


def test_a_tracker_that_fails_is_reported_in_the_steps_log(project, tracked):
    (project.folder / "seen").write_text("a file where the folder should be")
    source = """
        @step
        def one() -> int:
            log_metric("loss", 1)
            return 1

        @pipeline
        def flow():
            one()
        """
    run, state, _ = tracked(source, flush=0.01)
    assert state == "succeeded"
    assert "turnout: the tracker specimen failed: [Errno " in project.log(run, "one")
    assert [point.value for point in run["one"].summary.record.logged.points] == [1]


def test_a_required_tracker_that_fails_fails_the_step(project, tracked):
    (project.folder / "seen").write_text("a file where the folder should be")
    run, state, _ = tracked(
        """
        @step
        def one() -> int:
            log_metric("loss", 1)
            return 1

        @pipeline
        def flow():
            one()
        """,
        flush=0.01,
        required=True,
    )
    assert state == "failed"
    (attempt,) = run["one"].summary.attempts
    assert attempt.failure.message.startswith("the tracker specimen failed: [Errno ")
    assert [point.value for point in attempt.logged.points] == [1]


def test_a_step_that_forks_and_one_that_logs_nothing(project, tracked):
    """A forked process of a step holds the pipe, too: the worker still ends, and nothing is left running."""
    run, state, _ = tracked(
        """
        @step
        def forks() -> int:
            log_metric("loss", 1)
            sender()
            child = os.fork()
            if child == 0:
                log_metric("loss", 2)
                time.sleep(30)
                os._exit(0)
            return child

        @step
        def quiet(child: int) -> bool:
            os.kill(child, signal.SIGKILL)
            return True

        @pipeline
        def flow():
            quiet(forks())
        """,
        flush=0.01,
    )
    assert state == "succeeded"
    assert points(project, run) == {"forks": [["loss", None, 1]]}


def test_a_worker_that_is_gone_before_its_sender_begins(project, tracked):
    run, _, _ = tracked(
        """
        @step
        def one() -> int:
            log_metric("loss", 1)
            return 1

        @pipeline
        def flow():
            one()
        """,
        flush=60,
    )
    messages = [Begin("late", None, "first"), *(Log(Point("loss", float(n), n, clock.now())) for n in range(20))]
    command = [sys.executable, "-m", "turnout.runtime", "send", "--plan", run.info.plan]
    done = subprocess.run(
        [*command, "--engine-run", run.info.engine_run, "--parent", "1"],
        input=b"".join(msgspec.json.encode(message) + b"\n" for message in messages),
        env={**os.environ, **run.workspace.store.environment()},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert [value for _, _, value in points(project, run)["late"]] == list(range(20))


LOGS = """
    @step
    def one() -> int:
        log_metric("loss", 1)
        return 1

    @step
    def two(x: int) -> int:
        {last}
        return 2

    @pipeline
    def flow():
        two(one())
    """


def test_the_end_is_told_by_the_process_that_knows_the_tracker(project, tracked, monkeypatch):
    from turnout.tracking.tracking import Tracking

    monkeypatch.setattr(Tracking, "send_end", None)  # of this process, which would have to import a client
    run, state, _ = tracked(LOGS.format(last="pass"), flush=0.01)
    assert state == "succeeded"
    assert json.loads((project.folder / "seen" / run.id / "state.json").read_text()) == "succeeded"


def test_where_that_process_is_gone_the_engine_tells_the_end(project, tracked):
    # on one worker, so that the step that ends the process is the one whose it is
    run, state, _ = tracked(LOGS.format(last="os.kill(sender(), 9)"), flush=0.01)
    assert state == "succeeded"
    assert json.loads((project.folder / "seen" / run.id / "state.json").read_text()) == "succeeded"


def test_an_end_that_cannot_be_told_is_reported_by_the_engine(project, tracked, capfd):
    folder = project.folder / "seen"
    last = f"import shutil; shutil.rmtree({str(folder)!r}); open({str(folder)!r}, 'w').close()"
    run, state, _ = tracked(LOGS.format(last=last), flush=0.01)
    assert state == "succeeded"
    said = capfd.readouterr().err
    assert "turnout: the tracker specimen failed: [Errno " in said
    assert f"turnout runs sync {run.id}" in said
