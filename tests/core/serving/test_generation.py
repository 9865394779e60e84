"""The processes of a generation: in which order they start and end, and which are killed."""

from __future__ import annotations

import signal
import socket
import sys

import pytest
from waiting import until

from turnout.serving import generation
from turnout.serving.endpoint_folder import EndpointFolder, Share, Wanted
from turnout.serving.generation import Generation

SCRIPT = """\
import os, signal, sys, time
from pathlib import Path

folder, name = Path(__file__).parent, os.environ["TURNOUT_SERVING_WORKER"]

def hear(number, frame):
    with (folder / "told").open("a") as told:
        told.write(f"{name} {signal.Signals(number).name}\\n")

signal.signal(signal.SIGUSR1, hear)
signal.signal(signal.SIGTERM, hear)
(folder / f"{name}.started").touch()
while not (folder / f"{name}.ready").exists():
    time.sleep(0.01)
os.write(int(sys.argv[-1]), b"ready")
os.close(int(sys.argv[-1]))
while not (folder / f"{name}.end").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def make(tmp_path):
    """Makes a generation of one worker, and of another behind it: they do what files named after them say."""
    script = tmp_path / "worker"
    script.write_text(f"#!{sys.executable}\n{SCRIPT}")
    script.chmod(0o755)
    made = []

    def generation_of(stop_timeout):
        versions = tuple(Share(version=one * 64, share=0.5, interpreter=str(script)) for one in "01")
        wanted = Wanted(generation=3, versions=versions, stop_timeout=stop_timeout)
        made.append(Generation(wanted, EndpointFolder(tmp_path), listener))
        return made[-1]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield generation_of
    for one in made:
        for worker in (*one.front, *one.behind):
            worker.process.kill()
            worker.process.wait()


def test_what_stands_behind_starts_first_and_ends_last(make, tmp_path):
    one, told = make(60), tmp_path / "told"
    until((tmp_path / "3-1.started").exists)
    assert one.hear() is None
    assert one.front == []
    (tmp_path / "3-1.ready").touch()
    until(lambda: one.hear() is None and one.front)
    until((tmp_path / "3-0.started").exists)
    (tmp_path / "3-0.ready").touch()
    until(lambda: one.hear() == "")
    one.leave(signal.SIGUSR1)
    until(lambda: not one.gone() and told.exists())
    (tmp_path / "3-0.end").touch()
    until(lambda: not one.gone() and told.read_text().count("\n") == 2)
    assert told.read_text() == "3-0 SIGUSR1\n3-1 SIGUSR1\n"
    (tmp_path / "3-1.end").touch()
    until(one.gone)
    assert {worker.process.returncode for worker in (*one.front, *one.behind)} == {0}


def test_what_does_not_end_in_its_time_is_killed(make, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "KILLING", 0.1)
    for name in ("3-0", "3-1"):
        (tmp_path / f"{name}.ready").touch()
    one = make(0.1)
    until(lambda: one.hear() == "")
    one.leave()
    until(one.gone)
    assert {worker.process.returncode for worker in (*one.front, *one.behind)} == {-signal.SIGKILL}
