"""A step that is asked to end puts on record that it was, unless the run's own end tells of it already."""

from __future__ import annotations

import os
import sys

import pytest
from waiting import until

from turnout.base import clock
from turnout.engines.calling import Exit, Process
from turnout.model.records import Mark
from turnout.runtime.state import append_mark

SOURCE = """
    import pathlib, signal, time

    def long(marker):
        pathlib.Path(marker).touch()
        time.sleep(600)

    def deaf(marker):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        long(marker)
"""


@pytest.fixture
def stopped(bench, tmp_path):
    """Stop a step while it runs; return the exit code and the attempts on record."""
    bench.write(SOURCE)
    marker = tmp_path / "marker"

    def stop(function, *marks, **fields):
        bench.make(bench.step(function, marker=str(marker), **fields))
        command = [sys.executable, "-m", "turnout.runtime", "step", "--step", function]
        command += ["--plan", bench.plan.digest, "--engine-run", "run 1"]
        process = Process(command, {**os.environ, "TURNOUT_STORE": str(bench.folder / "store")}, [])
        until(marker.exists)
        run = bench.open().run
        for kind in marks:
            append_mark(run.store, run.info.project, run.info.id, Mark(kind=kind, time=clock.now()))
        process.kill()
        return process.wait(), bench.attempts(function)

    return stop


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "long was stopped by its engine"),
        ({"timeout": 0.001}, "long was stopped at its timeout of 0.001 seconds"),
    ],
    ids=["engine", "timeout"],
)
def test_it_is_on_record(stopped, fields, message):
    code, attempts = stopped("long", **fields)
    assert code == Exit.RETRY
    assert [attempt.failure.message for attempt in attempts] == [message]
    assert "in long" in attempts[0].failure.traceback


@pytest.mark.parametrize("kind", ["cancel", "finish"])
def test_the_mark_of_a_run_that_was_stopped_stands(stopped, kind):
    assert stopped("long", kind) == (Exit.RETRY, [])


def test_who_does_not_hear_is_killed(stopped):
    assert stopped("deaf") == (Exit.RETRY, [])
