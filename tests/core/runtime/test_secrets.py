"""No secret of the stack is ever in a plan, a record, a log, an error or an outcome, whatever a step does with it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from turnout import builtin
from turnout.base.redaction import STARS, Redactor
from turnout.components.base import Config
from turnout.components.feature_store import FeatureStore
from turnout.components.hookspecs import hookimpl
from turnout.components.observer import Observer
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker
from turnout.model.plan import Component, Worker
from turnout.runtime import printing
from turnout.runtime.finish import finish_run
from turnout.runtime.printing import redacted_output
from turnout.runtime.step import run_step

SECRET = 'p&ss "wörd"/\\+Zq9'
KEY = "-----BEGIN KEY-----\nfirst-line-7aQ\nsecond-line-x8\n\n-----END KEY-----\n"
PIECES = [SECRET, "first-line-7aQ", "second-line-x8", "wörd", "w%C3%B6rd", "w\\u00f6rd"]

SOURCE = """
    import json, logging, os, subprocess, sys, threading
    from urllib.parse import quote, quote_plus
    from turnout import log_params, log_artifact, log_metric

    def secret():
        return os.environ["PASSWORD"]

    def tell():
        logging.basicConfig(stream=sys.stderr, force=True)
        log = logging.getLogger("step")
        for text in (secret(), quote(secret(), safe=""), quote(secret()), quote_plus(secret()), json.dumps(secret()),
                     repr(secret()), os.environ["KEY"], repr(os.environ["KEY"])):
            print("print", text)
            print("stderr", text, file=sys.stderr)
            log.error("logging %s", text)
            os.write(1, f"write {text}\\n".encode())
        first, second = secret()[:5], secret()[5:]
        sys.stdout.write("split " + first)
        sys.stdout.flush()
        sys.stdout.write(second + "\\n")
        subprocess.run([sys.executable, "-c", "import os, sys; print('child', os.environ['PASSWORD']);"
                        "print('child', os.environ['KEY'], file=sys.stderr)"])
        thread = threading.Thread(target=print, args=("thread", secret()))
        thread.start()
        thread.join()
        print("no line feed", secret(), end="")
        return "done"

    def fail():
        try:
            raise ValueError(f"url: postgres://ann:{quote(secret(), safe='')}@host")
        except ValueError as error:
            raise RuntimeError("cannot log in with", secret(), os.environ["KEY"]) from error

    def log():
        log_params({"password": secret(), "nested": {"list": [secret(), 1]}, secret(): True})
        log_metric("fine", 1.0)
        return 1

    def give():
        return {"connection": f"postgres://ann:{secret()}@host"}

    def keep():
        log_artifact("config", {"password": secret()})
        return 1

    def keep_and_fail():
        log_artifact("config", {"password": secret()})
        raise ValueError("no")

    def look():
        return os.environ.get("PASSWORD"), os.environ.get("db")

    def online():
        from turnout.base.context import feature_store
        return feature_store().online(None, [], keys={})
"""


@pytest.fixture
def demo(bench, tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "db").write_text(SECRET)
    (folder / "key").write_text(KEY)
    bench.write(SOURCE)
    bench.worker = Worker(secrets=Component(type="files", config={"folder": str(folder)}))
    return bench


def secretive(demo, name, **fields):
    return demo.step(name, secrets={"PASSWORD": "db", "KEY": "key"}, **fields)


def is_clean(data: bytes | str) -> bool:
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return not any(piece in text for piece in PIECES)


def test_what_a_step_prints_in_a_process(demo):
    demo.make(secretive(demo, "tell"), worker=demo.worker)
    done = demo.process("step", "--step", "tell", "--outcome", str(demo.folder / "outcome.json"))
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    for source in ("print", "stderr", "logging", "write", "split", "child", "thread", "no line feed"):
        assert f"{source} {STARS}" in printed.replace("ERROR:step:", ""), source
    assert is_clean(printed), printed
    assert is_clean((demo.folder / "outcome.json").read_bytes())
    assert is_clean(demo.everything())
    assert demo.outcome(done)["state"] == "succeeded"


def test_what_a_step_prints_in_this_process(demo, capfd):
    demo.make(secretive(demo, "tell"), worker=demo.worker)
    assert demo.call("tell").exit_code == 0
    logging.basicConfig(force=True)
    printed = "".join(capfd.readouterr())
    assert printed.count(STARS) > 30
    assert "no line feed" in printed
    assert is_clean(printed), printed
    print("after", SECRET)
    assert SECRET in capfd.readouterr().out


def test_what_a_step_raises(demo, capfd):
    demo.make(secretive(demo, "fail"), worker=demo.worker)
    done = demo.process("step", "--step", "fail", "--outcome", str(demo.folder / "outcome.json"))
    assert done.returncode == 1
    result = demo.call("fail")
    printed = "".join(capfd.readouterr())
    for text in (done.stdout, done.stderr, result.message, printed, (demo.folder / "outcome.json").read_text()):
        assert is_clean(text), text
    assert STARS in result.message
    assert f"postgres://ann:{STARS}@host" in demo.attempts("fail")[0].failure.traceback
    assert is_clean(demo.everything())


def test_what_a_step_logs(demo):
    demo.make(secretive(demo, "log"), worker=demo.worker)
    assert demo.call("log").exit_code == 0
    logged = demo.record("log").logged
    assert logged.params == {"password": STARS, "nested": {"list": [STARS, 1]}, STARS: True}
    assert logged.points[0].name == "fine"
    assert is_clean(demo.everything())


@pytest.mark.parametrize("step", ["give", "keep"])
def test_a_value_that_holds_a_secret_is_refused(demo, step, capfd):
    demo.make(secretive(demo, step), worker=demo.worker)
    result = demo.call(step)
    assert result.exit_code == 2
    assert "returns or logs a value that holds a secret" in result.message
    assert demo.record(step) is None
    assert is_clean(demo.everything())
    assert is_clean("".join(capfd.readouterr()))


def test_a_value_that_holds_a_secret_is_not_kept_of_a_failed_step_either(demo):
    demo.make(secretive(demo, "keep_and_fail"), worker=demo.worker)
    assert demo.call("keep_and_fail").message == "ValueError: no"
    assert demo.attempts("keep_and_fail")[0].logged.artifacts == {}
    assert is_clean(demo.everything())


def test_a_declared_variable_that_holds_a_secret_is_not_on_record(demo, monkeypatch):
    monkeypatch.setenv("DATABASE", f"postgres://ann:{SECRET}@host")
    demo.make(secretive(demo, "log", env=("DATABASE",)), worker=demo.worker)
    demo.call("log")
    assert demo.record("log").key_parts["env"] == {"DATABASE": f"postgres://ann:{STARS}@host"}
    assert is_clean(demo.everything())


def test_a_secret_is_a_variable_only_while_its_step_runs(demo, monkeypatch):
    monkeypatch.setenv("PASSWORD", "as before")
    short = demo.step("with_it", "look", secrets={"PASSWORD": "short"})
    (demo.folder / "secrets" / "short").write_text("s3c")
    demo.make(short, demo.step("without", "look"), worker=demo.worker)
    session = demo.open()
    for step in ("with_it", "without"):
        assert run_step(session, step).exit_code == 0
        assert os.environ["PASSWORD"] == "as before"
    assert demo.value("with_it") == ("s3c", None)
    assert demo.value("without") == ("as before", None)


def test_a_variable_of_a_failed_step_is_gone_too(demo):
    demo.make(secretive(demo, "fail"), worker=demo.worker)
    demo.call("fail")
    assert "PASSWORD" not in os.environ
    assert "KEY" not in os.environ


def test_a_secret_that_is_not_there(demo, snapshot):
    demo.make(demo.step("look", secrets={"PASSWORD": "absent"}), worker=demo.worker)
    result = demo.call("look")
    assert result.exit_code == 2
    assert result.message.replace(str(demo.folder), "…") == snapshot
    assert demo.attempts("look")[0].failure.retryable is False


def test_a_secret_from_the_environment(demo, monkeypatch):
    monkeypatch.setenv("db", SECRET)
    demo.make(demo.step("tell", "look", secrets={"PASSWORD": "db"}))
    assert demo.call("tell").exit_code == 2  # it returns the secret
    assert is_clean(demo.everything())
    monkeypatch.delenv("db")
    result = demo.call("tell")
    assert "looked for the environment variable db" in result.message


class Settings(Config, frozen=True):
    password: str = ""


class Chatty(Observer[Settings]):
    name = "chatty"
    Config = Settings

    def notify(self, event):
        raise RuntimeError(f"cannot post with {self.config.password}")


class Open(Tracker[Settings]):
    name = "open"
    Config = Settings

    def begin(self, run, *, claimed):
        raise ConnectionError(f"401 for {self.config.password}")

    def log(self, batch):
        raise AssertionError

    def finish(self, run, external_id, state):
        raise AssertionError


class Leaky(FeatureStore[Settings]):
    name = "leaky"
    Config = Settings

    def historical(self, entities, features, *, keys, timestamp, inputs=(), known_at=False):
        raise AssertionError

    def online(self, entities, features, *, keys, inputs=()):
        print("connecting with", self.config.password)
        raise ConnectionError(f"refused: {self.config.password}")

    def materialize(self, until, *, since=None, views=(), force=False, progress=None):
        raise AssertionError

    def push(self, view, rows):
        raise AssertionError

    def version(self, features):
        raise AssertionError

    def resolve(self, service):
        raise AssertionError

    def describe(self):
        return ()


class Plugin:
    @hookimpl
    def turnout_observers(self):
        return (Chatty,)

    @hookimpl
    def turnout_trackers(self):
        return (Open,)

    @hookimpl
    def turnout_feature_stores(self):
        return (Leaky,)


def test_secrets_of_the_stacks_components(demo, capfd):
    """Known to the worker only: each component shows its password, and none is seen."""
    settings = {"password": "${secret:db}"}
    worker = msgspec.structs.replace(
        demo.worker,
        tracker=Component(type="open", config=settings),
        feature_store=Component(type="leaky", config=settings),
        observers=(Component(type="chatty", config=settings),),
    )
    demo.registry = Registry([builtin, Plugin()])
    demo.make(demo.step("online"), demo.step("log", secrets={"PASSWORD": "db"}), worker=worker)
    session = demo.open()
    assert run_step(session, "online").message == f"ConnectionError: refused: {STARS}"
    assert run_step(session, "log").exit_code == 0
    finish_run(session)
    printed = "".join(capfd.readouterr())
    assert f"connecting with {STARS}" in printed
    assert f"the observer chatty failed: cannot post with {STARS}" in printed
    assert f"the tracker open failed: 401 for {STARS}" in printed
    assert is_clean(printed)
    assert is_clean(demo.everything())


def test_a_feature_stores_secret_is_hidden_from_the_first_step_on(demo, capfd):
    """No observer has asked for it before: the secret becomes known in the middle of the step."""
    feature_store = Component(type="leaky", config={"password": "${secret:db}"})
    demo.registry = Registry([builtin, Plugin()])
    demo.make(demo.step("online"), worker=msgspec.structs.replace(demo.worker, feature_store=feature_store))
    assert demo.call("online").message == f"ConnectionError: refused: {STARS}"
    assert f"connecting with {STARS}" in capfd.readouterr().out


# the redactor itself


def test_every_form_of_a_secret_is_found():
    redactor = Redactor({SECRET})
    for text in (SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), repr(SECRET), str([SECRET])):
        assert is_clean(redactor.text(f"a {text} b")), text
        assert is_clean(redactor.data(f"a {text} b".encode()))


def test_the_longest_secret_goes_first():
    assert Redactor({"abc", "abcdef"}).text("abcdef abc") == f"{STARS} {STARS}"


def test_a_secret_that_joins_later_counts():
    secrets: set[str] = set()
    redactor = Redactor(secrets)
    assert not redactor
    assert redactor.text("late") == "late"
    secrets.add("late")
    assert redactor
    assert redactor.text("late") == STARS


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_hides_nothing(secret):
    assert Redactor({secret}).text("a b\nc") == "a b\nc"


def test_a_short_secret_stops_no_record():
    assert Redactor({"1"}).finds({"x": 1}) is False
    assert Redactor({"secrets"}).finds({"x": "my secrets"}) is False
    assert Redactor({"secrets1"}).finds({"x": "my secrets1"}) is True


def test_a_child_that_lives_on_neither_blocks_nor_writes_elsewhere(tmp_path, capfd):
    """The pipe stays open in a child that outlives the step; what it prints later is redacted still."""
    go = tmp_path / "go"
    script = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nprint('late', {SECRET!r})"
    with redacted_output(Redactor({SECRET})):
        child = subprocess.Popen([sys.executable, "-c", script])
    assert child.poll() is None
    innocent = os.open(tmp_path / "innocent", os.O_WRONLY | os.O_CREAT)
    go.touch()
    assert child.wait(timeout=30) == 0
    until = time.monotonic() + 30
    seen = ""
    while "late" not in seen and time.monotonic() < until:
        seen += capfd.readouterr().out
    os.close(innocent)
    for thread in threading.enumerate():
        if thread.name == printing.PUMP:
            thread.join(30)
    assert f"late {STARS}" in seen
    assert (tmp_path / "innocent").read_bytes() == b""


def test_descriptors_are_as_before_after_an_exception(capfd):
    def descriptors():
        return os.fstat(1), os.fstat(2), len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(3):
        with pytest.raises(KeyError), redacted_output(Redactor({SECRET})):
            raise KeyError
    assert descriptors() == before
    print("free")
    os.write(1, b"direct\n")
    assert set(capfd.readouterr().out.splitlines()) == {"free", "direct"}
