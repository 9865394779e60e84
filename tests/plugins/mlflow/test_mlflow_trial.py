"""`turnout mlflow up` and `down`, with a stand-in for MLflow's own command: what is started is what is stopped."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from projects import caller

from turnout.plugin_api import ConfigError, RunError
from turnout_mlflow.trial import Trial, mlflow

STAND_IN = """\
#!{python}
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
options = dict(zip(sys.argv[4::2], sys.argv[5::2]))
home = options["--backend-store-uri"].removeprefix("sqlite:///").removesuffix("/mlflow.db")
if os.path.exists(home + "/broken"):
    sys.exit("no such table")
assert sys.argv[1:4] == ["-m", "mlflow", "server"] and options["--host"] == "127.0.0.1"
assert "MLFLOW_TRACKING_URI" not in os.environ and os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
with open(home + "/started", "a") as file:
    file.write("x")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

HTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def python(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "home"
    Trial(tmp_path / "home").down()


call = caller(mlflow)


def test_up_twice_and_down(home, port, python):
    first = call("up", "--home", home, "--port", port, "--python", python)
    assert first.exit_code == 0, first.output
    assert first.output.splitlines() == [
        f"MLflow is at http://127.0.0.1:{port}, its logs in {home / 'server-logs'}",
        f"for a stack: tracker: {{type: mlflow, uri: http://127.0.0.1:{port}}}",
    ]
    assert call("up", "--home", home, "--port", port, "--python", python).output == first.output
    assert (home / "started").read_text() == "x"
    other = call("up", "--home", home, "--port", port % 65535 + 1, "--python", python).output.splitlines()
    assert other.pop(1) == "it was running there already; for another port: turnout mlflow down, then up again"
    assert other == first.output.splitlines()
    assert call("down", "--home", home).output == "stopped server\n"
    assert call("down", "--home", home).output == "nothing was running\n"
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))


def test_two_at_once_start_one(home, port, python, capsys):
    with ThreadPoolExecutor(2) as threads:
        urls = list(threads.map(lambda _: Trial(home).up(port, python), range(2)))
    assert urls == 2 * [f"http://127.0.0.1:{port}"]
    assert (home / "started").read_text() == "x"
    assert "another process is starting" in capsys.readouterr().err


def test_what_keeps_it_from_starting(home, port, python, monkeypatch):
    (home.parent / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        Trial(home.parent / "file" / "home").up(port, python)
    assert Trial(home.parent / "file" / "home").down() == []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            Trial(home).up(port, python)
    monkeypatch.setattr("turnout.engines.servers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="there is no MLflow in this environment"):
        Trial(home).up(port)
    with pytest.raises(ConfigError, match="cannot be started: No such file"):
        Trial(home).up(port, str(home / "none"))
    (home / "broken").touch()
    with pytest.raises(RunError, match=r"MLflow's server ended[^$]*why: no such table"):
        Trial(home).up(port, python)
    assert not (home / "processes.json").exists()
