"""`turnout airflow up` and `down`, with a stand-in for Airflow's own command: what is started is what is stopped."""

import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from projects import caller
from waiting import until

from turnout.model.plan import Component, Worker
from turnout.plugin_api import ConfigError, RunError
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.settings import AirflowSettings
from turnout_airflow.trial import Trial, airflow, see_secrets

STAND_IN = """\
#!{python}
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
part = sys.argv[3]
home = os.environ["AIRFLOW_HOME"]
with open(home + "/started", "a") as file:
    file.write(part + "\\n")
if part == "db":
    sys.exit(int(os.path.exists(home + "/broken")))
if part == "scheduler":
    child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)"])
    open(home + "/child", "w").write(str(child.pid))
if part != "api-server":
    time.sleep(99)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = json.dumps({{"metadatabase": {{"status": "healthy"}}}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

HTTPServer(("127.0.0.1", int(os.environ["AIRFLOW__API__PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def python(tmp_path):
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "home"
    Trial(tmp_path / "home").down()


call = caller(airflow)


def gone(pid):
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout[
        :1
    ] in {"", "Z"}


def test_a_secret_that_was_exported_after_up_is_told_before_a_run_starts(home, port, python, monkeypatch):
    """A server has the variables of its start; a run would wait for its step to fail."""
    worker = Worker(secrets=Component(type="env", config={"prefix": "DEMO_"}))
    step = sample_step("fetch", secrets={"password": "warehouse"})
    plan = sample_plan(sample_step("load"), step, worker=worker)
    settings = AirflowSettings(dags_folder=str(home / "dags"), url=f"http://127.0.0.1:{port}")
    see_secrets(plan, settings)  # no server of `up` is there
    up = ("up", "--home", home, "--port", port, "--python", python)
    assert call(*up).exit_code == 0
    monkeypatch.setenv("DEMO_warehouse", "hunter2")
    see_secrets(plan, msgspec.structs.replace(settings, url="http://127.0.0.1:9"))  # another one
    with pytest.raises(ConfigError) as caught:
        see_secrets(plan, settings)
    assert str(caught.value) == (
        f"steps.py:7: the Airflow at {settings.url} does not have the variable DEMO_warehouse: the secret 'warehouse' of fetch\n"
        "  why: a server has the variables that were set when it was started\n"
        f"  fix: export DEMO_warehouse=…; turnout airflow down --home {home}; turnout airflow up --home {home} --port {port}"
    )
    call("down", "--home", home)
    assert call(*up).exit_code == 0
    see_secrets(plan, settings)


def test_up_twice_and_down(home, port, python):
    first = call("up", "--home", home, "--port", port, "--python", python)
    assert first.exit_code == 0, first.output
    assert f"Airflow is at http://127.0.0.1:{port}" in first.output
    assert f"export AIRFLOW_HOME={home} AIRFLOW_URL=http://127.0.0.1:{port}" in first.output
    until((home / "child").exists)
    until((home / "child").read_text)
    assert call("up", "--home", home, "--port", port, "--python", python).output == first.output
    until(lambda: len((home / "started").read_text().split()) == 4)
    assert call("down", "--home", home).output == "stopped api-server, scheduler, dag-processor\n"
    assert gone((home / "child").read_text()), "a child that does not listen is stopped as well"
    assert call("down", "--home", home).output == "nothing was running\n"


def test_a_process_that_took_the_id_over_is_left_alone(home):
    home.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"], start_new_session=True)
    try:
        stale = f'{{"url": "", "processes": {{"scheduler": {{"pid": {other.pid}, "started": "1"}}}}}}'
        (home / "processes.json").write_text(stale)
        assert Trial(home).down() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_two_at_once_start_one(home, port, python, capsys):
    with ThreadPoolExecutor(2) as threads:
        urls = list(threads.map(lambda _: Trial(home).up(port, python), range(2)))
    assert urls == 2 * [f"http://127.0.0.1:{port}"]
    assert (home / "started").read_text().split().count("db") == 1
    assert "another process is starting" in capsys.readouterr().err


def test_what_keeps_it_from_starting(home, port, python, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            Trial(home).up(port, python)
    monkeypatch.setattr("turnout.engines.servers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="there is no Airflow in this environment"):
        Trial(home).up(port)
    (home.parent / "file").touch()
    with pytest.raises(ConfigError, match="file/home cannot be written: Not a directory"):
        Trial(home.parent / "file" / "home").up(port, python)
    with pytest.raises(ConfigError, match="cannot be started: No such file"):
        Trial(home).up(port, str(home / "none"))
    (home / "broken").touch()
    with pytest.raises(RunError, match="`airflow db migrate` failed"):
        Trial(home).up(port, python)
    assert not (home / "processes.json").exists()
