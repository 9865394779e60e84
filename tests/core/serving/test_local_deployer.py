"""Endpoints on this machine: the suite of deployers, and what a machine can do wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import msgspec
import pytest

from turnout.base.background import Background
from turnout.base.errors import ConfigError, DeployError
from turnout.serving import container
from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.testing.deployer import DeployerSuite


@pytest.fixture
def deployer(tmp_path):
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "endpoints")))
    yield deployer
    for status in deployer.list():
        deployer.delete(status.name)


class TestLocalDeployer(DeployerSuite):
    @pytest.fixture
    def deployer(self, deployer):
        return deployer

    @pytest.fixture
    def up(self, deployer, served, ready):
        return deployer, served, ready.url

    def test_what_it_answers_over_http(self, up):
        _, served, url = up
        assert post(url, served.rows) == (200, {"predictions": served.predictions})
        assert post(url, {"rows": served.rows, "plus": 1}) == (200, {"predictions": [3.0, 6.0]})
        assert post(url, [{"x": "two"}]) == (
            422,
            {"error": {"where": "rows[0].x", "what": "takes a number, not 'two'"}},
        )
        assert post(url, b"{")[0] == 400
        assert post(url, {"rows": []}) == (200, {"predictions": []})
        with urllib.request.urlopen(f"{url}/metrics") as response:
            text = response.read().decode()
        assert (
            f'turnout_input_values_total{{column="x",endpoint="double",version="{served.endpoint.digest[:12]}"}}'
            in text
        )
        with urllib.request.urlopen(f"{url}/openapi.json") as response:
            schema = json.load(response)
        body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body["anyOf"][0]["properties"]["rows"]["items"]["required"] == ["x"]
        infer = {"id": "7", "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [4.0]}]}
        status, answer = post(url, infer, "/v2/models/double/infer")
        assert (status, answer["id"], answer["outputs"][0]["data"]) == (200, "7", [8.0])

    def test_a_container_serves_one_version_until_it_is_told_to_stop(self, served, tmp_path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ("--host", "127.0.0.1", "--port", str(port), "--receive-timeout", "0.5")
        ours, theirs = socket.socketpair()  # standard error as a service manager gives it: it cannot be opened by path
        with ours, theirs, contained(served, served.endpoint, tmp_path, *options, output=theirs) as process:
            until = time.monotonic() + 120
            while process.poll() is None:
                try:
                    answer = post(f"http://127.0.0.1:{port}", served.rows)
                    break
                except OSError:
                    assert time.monotonic() < until
                    time.sleep(0.05)
            assert answer == (200, {"predictions": served.predictions})
            with socket.create_connection(("127.0.0.1", port), timeout=60) as late:
                late.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[")
                assert b"the body did not come within 0.5 s" in b"".join(iter(lambda: late.recv(4096), b""))
            process.terminate()
            assert process.wait(60) == 0

    def test_a_container_that_cannot_serve_ends_and_says_why(self, served, tmp_path):
        with contained(served, broken(served.endpoint), tmp_path, "--host", "127.0.0.1", "--port", "0") as process:
            text = process.communicate(timeout=120)[0]
        assert process.returncode == 1
        told = text[text.index("turnout: the endpoint double cannot be served: ") :]
        assert "no_such" in told

    def test_a_container_without_its_plan_says_which_file_it_is(self, tmp_path, capsys):
        assert container.main([str(tmp_path / "none.json")]) == 1
        assert capsys.readouterr().err == (
            f"turnout: the endpoint cannot be served: the plan {tmp_path / 'none.json'} cannot be read: No such file or "
            "directory\n  fix: give the path of endpoint.json, which `turnout export ENDPOINT` writes\n"
        )

    def test_another_host_is_refused(self, up):
        with closing(HTTPConnection(up[2].removeprefix("http://"))) as connection:
            connection.request("GET", "/metrics", headers={"Host": "evil.example"})
            assert connection.getresponse().status == 421

    def test_a_version_that_cannot_start_leaves_the_other(self, up):
        deployer, served, _ = up
        with pytest.raises(DeployError, match="no_such"):
            deployer.deploy(broken(served.endpoint), deployer.compile(served.endpoint), served.store)
        status = deployer.status("double")
        assert (status.state, [one.version for one in status.versions]) == ("ready", [served.endpoint.digest])
        assert "no_such" in status.message
        assert deployer.predict("double", served.rows) == served.predictions

    def test_a_first_version_that_cannot_start_leaves_nothing_running(self, deployer, served):
        broken = msgspec.structs.replace(
            served.endpoint, code=msgspec.structs.replace(served.endpoint.code, digest="0" * 64)
        )
        with pytest.raises(DeployError, match="cannot be served"):
            deployer.deploy(broken, deployer.compile(broken), served.store)
        assert deployer.status("double").state == "failed"
        assert not Background(deployer._folder("double").processes).running

    def test_a_port_that_is_taken(self, tmp_path, served):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "other"), port=port))
            with pytest.raises(ConfigError, match=f"port {port} is taken"):
                deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
        assert deployer.status("double").state == "absent"

    def test_the_log_is_followed_until_the_endpoint_goes(self, up):
        deployer, _, _ = up
        with deployer._folder("double").log.open("a") as log:
            log.write("one\n")
        lines = deployer.logs("double", follow=True)
        assert "one" in (next(lines) for _ in range(1000))
        deployer.delete("double")
        assert list(lines) == []

    def test_no_request_fails_while_a_version_is_replaced(self, up):
        deployer, served, url = up
        done, failed = threading.Event(), []
        answered = [0, 0]

        def ask(n):
            while not done.is_set():
                try:
                    assert post(url, served.rows) == (200, {"predictions": served.predictions})
                    answered[n] += 1
                except Exception as error:
                    failed.append(error)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        other = msgspec.structs.replace(served.endpoint, doc="another version")
        deployer.deploy(other, deployer.compile(other), served.store)
        deployer.rollback("double")
        done.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert min(answered) > 0

    def test_a_killed_worker_is_started_again(self, up):
        import psutil

        deployer, served, url = up
        pid = json.loads((deployer._folder("double").processes).read_text())["processes"]["supervisor"]["pid"]
        (worker,) = psutil.Process(pid).children()
        for _ in range(3):
            assert post(url, served.rows)[0] == 200
        urllib.request.urlopen(f"{url}/metrics").close()  # whoever is asked hands on what it has counted
        os.kill(worker.pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while True:
            try:
                assert post(url, served.rows)[0] == 200
                break
            except OSError:
                assert time.monotonic() < until
        assert deployer.status("double").state == "ready"
        with urllib.request.urlopen(f"{url}/metrics") as response:
            lines = response.read().decode().splitlines()
        # it goes on counting where the one before it stopped, but for what that one was doing
        assert [line.split()[1] for line in lines if line.startswith("turnout_request_rows_count")] == ["4.0"]
        assert [line.split()[1] for line in lines if line.startswith("turnout_requests_running")] == ["0.0"]

    def test_an_endpoint_is_started_again_where_it_was(self, up):
        deployer, served, url = up
        pid = json.loads((deployer._folder("double").processes).read_text())["processes"]["supervisor"]["pid"]
        os.killpg(pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while deployer.status("double").state != "failed":
            assert time.monotonic() < until
        assert "turnout endpoints start double" in deployer.status("double").message
        assert deployer.start("double").url == url
        assert deployer.predict("double", served.rows) == served.predictions


@contextmanager
def contained(served, plan, folder, *options, output=subprocess.PIPE):
    """The process of a container that serves a plan."""
    file = folder / "endpoint.json"
    file.write_bytes(plan.encode())
    process = subprocess.Popen(
        [sys.executable, "-m", "turnout.serving", "container", str(file), *options],
        env={**os.environ, **served.store.environment()},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def broken(plan):
    """A version of an endpoint whose steps have no functions."""
    steps = (
        msgspec.structs.replace(step, entrypoint=msgspec.structs.replace(step.entrypoint, qualname="no_such"))
        for step in plan.steps
    )
    return msgspec.structs.replace(plan, steps=tuple(steps))


def post(url, body, path="/predict"):
    """The status and the document of an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{url}{path}", data) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_worker_that_ends_before_it_is_ready_is_told_of_again_and_again(tmp_path):
    from turnout.serving.endpoint_folder import Duty, EndpointFolder, Share, Wanted
    from turnout.serving.generation import Worker

    version = Share(version="0" * 64, share=1.0, interpreter="/bin/false")
    duty = Duty(wanted=Wanted(generation=0, versions=(version,)), version=version)
    with socket.socket() as listener:
        worker = Worker(duty, 0, EndpointFolder(tmp_path), listener)
        until = time.monotonic() + 60
        while worker.hear() is None:
            assert time.monotonic() < until
        assert worker.hear() == worker.hear() == "its worker ended; see its log"
        worker.process.wait()
