"""The way to the process that has Feast, with a Feast that is only a name: calls, errors, progress, threads, ends."""

from __future__ import annotations

import io
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from waiting import alive, until

from turnout.base.errors import ConfigError, PluginError, RunError
from turnout_feast import messages
from turnout_feast.process import Process
from turnout_feast.service import CALLS
from turnout_feast.settings import FeastSettings

SERVER = """
import os, sys, time
site = {site!r}
sys.path[:0] = site
import types
feast = types.ModuleType("feast"); feast.__version__ = "0.67.0"; sys.modules["feast"] = feast
from turnout.plugin_api import ConfigError
from turnout_feast import server
class Service:
    def __init__(self, settings): self.settings = settings
    def call(self, name, arguments, table, progress):
        print("noise of Feast's")
        if name == "historical": return table
        if name == "fail": raise ConfigError("no view 'x'", why="it was renamed", fix="write 'y'")
        if name == "break": raise KeyError("boom")
        if name == "die": os._exit(3)
        if name == "wait":
            while not os.path.exists(arguments["file"]): time.sleep(0.01)
        if name == "materialize":
            progress("weather", 0.5); progress("weather", 1.0)
        return [name, arguments, os.getpid()]
server.Service = Service
{further}
sys.exit(server.main(int(sys.argv[-1])))
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """A process with a Feast that is only a name."""
    made = start(tmp_path_factory.mktemp("feast"))
    yield made
    made.close()


def start(folder, further=""):
    script, code = folder / "python", folder / "server.py"
    code.write_text(SERVER.format(site=sys.path, further=further))
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {code} "$@"\n')
    script.chmod(0o755)
    return Process(str(script), FeastSettings(repo=str(folder)))


def test_a_table_goes_and_comes_back(process):
    table = pa.table({"turnout_row": [1, 2], "at": pa.array([0, 1], pa.timestamp("us", "UTC")), "name": ["a", None]})
    assert process.call("historical", {}, table).equals(table)
    assert process.call("historical", {}, table.slice(0, 0)).num_rows == 0


def test_what_json_can_say_goes_and_comes_back(process):
    assert process.call("version", {"features": ["a:b", "ü"]})[:2] == ["version", {"features": ["a:b", "ü"]}]


def test_an_error_travels_with_its_text(process):
    with pytest.raises(ConfigError) as caught:
        process.call("fail", {})
    assert str(caught.value) == "no view 'x'\n  why: it was renamed\n  fix: write 'y'"
    with pytest.raises(RunError, match="Feast failed in 'break'"):
        process.call("break", {})


def test_progress_is_told(process):
    told = []
    process.call("materialize", {}, progress=lambda view, share: told.append((view, share)))
    assert told == [("weather", 0.5), ("weather", 1.0)]


def test_threads_get_their_own_answers(process):
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda number: process.call("online", {"number": number}), range(200))
        assert [one[1]["number"] for one in found] == list(range(200))


def test_a_read_does_not_wait_for_what_takes_long(process, tmp_path):
    file = tmp_path / "done"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.call, "wait", {"file": str(file)})
        assert process.call("online", {})[0] == "online"
        assert not waiting.done()
        file.touch()
        assert waiting.result()[0] == "wait"


def test_a_process_that_dies_fails_the_call(tmp_path):
    process = start(tmp_path)
    with pytest.raises(RunError, match="has ended in 'die'"):
        process.call("die", {})
    until(lambda: not process.alive)
    with pytest.raises(RunError, match="has ended"):
        process.call("version", {})
    process.close()


def test_it_ends_with_the_one_that_started_it(tmp_path, process):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # starts a process of its own, and is killed
        os.close(reading)
        made = Process(process.interpreter, FeastSettings(repo=str(tmp_path)))
        os.write(writing, str(made.call("version", {})[2]).encode())
        signal.pause()
    os.close(writing)
    started = int(os.read(reading, 20))
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: not alive(started))


def test_whoever_is_interrupted_while_it_waits_leaves_no_half_answer_to_others(tmp_path):
    process = start(tmp_path)
    code = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            process.call("wait", {"file": str(tmp_path / "never")})
    finally:
        signal.signal(signal.SIGALRM, code)
    until(lambda: not process.alive)
    with pytest.raises(RunError, match="has ended in 'version'"):
        process.call("version", {})
    process.close()


def test_another_version_of_turnout_feast_is_refused(tmp_path):
    with pytest.raises(PluginError) as caught:
        start(tmp_path, further="server.messages.FORMAT = 1")
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/python has another version of turnout-feast",
        f"  why: its messages are of the version 1, those here of {messages.FORMAT}",
        "  fix: install the version there that is installed here",
    ]


def test_a_new_call_is_a_new_version_of_the_messages():
    calls = ["describe", "historical", "materialize", "online", "push", "resolve", "tags", "version"]
    assert (messages.FORMAT, sorted(CALLS)) == (2, calls)


@pytest.mark.parametrize("rows", [0, 1, 64, 65])
@pytest.mark.parametrize("chunks", [1, 2])
def test_tables_arrive_whichever_way_they_go(rows, chunks):
    """A schema is told once where rows are few, and categories never go without theirs."""
    stream = io.BytesIO()
    plain = pa.table({"a": pa.array([1.5, None] * 40)[:rows], "t": pa.array(range(rows), pa.timestamp("us", "UTC"))})
    kinds = pa.table({"a": pa.array(["x", None] * 40)[:rows].dictionary_encode(), "b": [[1]] * rows})
    tables = [pa.concat_tables([table] * chunks) for table in (plain, kinds, plain, plain.slice(rows // 2), kinds)]
    outgoing = messages.Outgoing(stream)
    for number, table in enumerate(tables):
        outgoing.write({"id": number}, table)
    stream.seek(0)
    incoming = messages.Incoming(stream)
    for number, table in enumerate(tables):
        header, found = incoming.read()
        assert (header["id"], found.schema) == (number, table.schema)
        assert found.to_pydict() == table.to_pydict()
    assert incoming.read() is None


def test_a_message_that_is_cut_off_is_the_end():
    stream = io.BytesIO()
    messages.Outgoing(stream).write({"id": 1}, pa.table({"a": [1]}))
    whole = stream.getvalue()
    assert messages.Incoming(io.BytesIO(whole)).read()[1].to_pydict() == {"a": [1]}
    for end in (0, 5, 15, len(whole) - 1):
        assert messages.Incoming(io.BytesIO(whole[:end])).read() is None
