"""Events as lines of JSON."""

import json
import subprocess
import sys

import pytest

from turnout.builtin.jsonl import JsonLines, JsonLinesSettings
from turnout.components.observer import Event


def event(**more):
    return Event(kind="step_started", time="2026-01-01T00:00:00Z", project="p", pipeline="f", run="r", **more)


def test_each_event_is_a_line(tmp_path):
    path = tmp_path / "deep" / "events.jsonl"
    observer = JsonLines(JsonLinesSettings(path=str(path)))
    observer.notify(event(step="fit", message="two\nlines"))
    observer.notify(event(step="load", index=3))
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {
        "kind": "step_started",
        "time": "2026-01-01T00:00:00Z",
        "project": "p",
        "pipeline": "f",
        "run": "r",
        "step": "fit",
        "message": "two\nlines",
    }
    assert json.loads(second)["index"] == 3


def test_workers_that_share_a_file_do_not_mix_lines(tmp_path):
    path = tmp_path / "events.jsonl"
    code = (
        "import sys; from turnout.components.observer import Event;"
        "from turnout.builtin.jsonl import JsonLines, JsonLinesSettings;"
        "o = JsonLines(JsonLinesSettings(path=sys.argv[1]));"
        "e = Event(kind='step_started', time='t', project='p', pipeline='f', run=sys.argv[2], message='x' * 20000);"
        "[o.notify(e) for _ in range(50)]"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    runs = [json.loads(line)["run"] for line in path.read_text().splitlines()]
    assert sorted(runs) == ["a"] * 50 + ["b"] * 50 + ["c"] * 50


def test_a_full_disk_is_an_error():
    observer = JsonLines(JsonLinesSettings(path="/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        observer.notify(event())
