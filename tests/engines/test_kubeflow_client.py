"""The ways to a server of Kubeflow Pipelines: signing in, TLS, what else may answer; and a whole ``turnout run``."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from installed import need
from waiting import until

from turnout.base.errors import ConfigError, RunError
from turnout.plugin_api import Submission
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan, sample_step

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _models() -> None:
    need("kfp", "2.17")  # the stand-in holds requests against its models


@pytest.fixture
def server() -> Iterator[Any]:
    from kubeflow_server import KubeflowServer

    with KubeflowServer() as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts a run of one step, of which no worker writes anything."""
    return partial(started, LocalStore.from_url(str(tmp_path / "store")))


def started(store: Any, **settings: Any) -> Any:
    from turnout_kubeflow.orchestrator import KubeflowOrchestrator
    from turnout_kubeflow.settings import KubeflowSettings

    one, plan = KubeflowOrchestrator(KubeflowSettings(**settings)), sample_plan(sample_step("fit"))
    return one.submit(plan, one.compile(plan), Submission(), store)


def test_the_token_of_a_service_account_is_read_each_time(server: Any, tmp_path: Path, start: Any) -> None:
    file = tmp_path / "token"
    file.write_text(server.token + "\n", encoding="utf-8")
    handle = start(url=server.url, token_file=str(file))
    assert handle.engine_run == "run-0"
    server.token = "a-newer-token"
    with pytest.raises(ConfigError, match=r"refuses to GET /runs/run-0 \(401\)"):
        handle.wait(0)
    file.write_text(server.token, encoding="utf-8")
    assert handle.wait(0) == "running"
    with pytest.raises(ConfigError, match="the token cannot be read") as caught:
        start(url=server.url, token_file=str(tmp_path / "elsewhere"))
    assert "orchestrator.token_file" in str(caught.value.fix)


def test_a_certificate_of_ones_own(tmp_path: Path, start: Any) -> None:
    from kubeflow_server import KubeflowServer

    file, public = certificate(tmp_path)
    with KubeflowServer(certificate=str(file)) as server:
        assert start(url=server.url, token=server.token, ca=str(public)).engine_run == "run-0"
        with pytest.raises(ConfigError, match="is not trusted") as caught:
            start(url=server.url, token=server.token)
        assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.why)
        assert "orchestrator.ca" in str(caught.value.fix)
        with pytest.raises(ConfigError, match="cannot be read as certificates"):
            start(url=server.url, ca=str(tmp_path / "elsewhere"))


def test_a_session_of_ones_own(server: Any, start: Any) -> None:
    server.token, server.cookie = "", "authservice_session=abc"
    assert start(url=server.url, cookie="authservice_session=abc").engine_run == "run-0"
    with pytest.raises(ConfigError, match=r"\(401\)"):
        start(url=server.url, cookie="authservice_session=old")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine with its key in a file, and alone in another."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both, public = folder / "server.pem", folder / "certificate.pem"
    both.write_bytes(text + private)
    public.write_bytes(text)
    return both, public


def test_what_answers_is_something_else(server: Any, start: Any) -> None:
    server.page = "<html>Sign in</html>"
    with pytest.raises(ConfigError, match="is no Kubeflow Pipelines") as caught:
        start(url=server.url, token=server.token)
    assert "…/pipeline" in str(caught.value.fix)
    server.page = ""
    with pytest.raises(RunError, match="has no /experiments") as caught:
        start(url=f"{server.url}/wrong", token=server.token)
    assert "orchestrator.url" in str(caught.value.fix)
    with pytest.raises(ConfigError, match="no Kubeflow Pipelines answers") as caught:
        start(url="http://127.0.0.1:9", token=server.token)
    assert "orchestrator.url" in str(caught.value.fix)


def test_runs_and_experiments_belong_to_a_namespace(server: Any, start: Any) -> None:
    start(url=server.url, token=server.token, namespace="team-a", experiment="nightly", service_account="runner")
    (made,) = server.experiments
    assert (made["display_name"], made["namespace"]) == ("nightly", "team-a")
    assert server.runs["run-0"]["service_account"] == "runner"


def test_it_is_asked_as_often_as_the_stack_says(server: Any, start: Any) -> None:
    handle = start(url=server.url, token=server.token, poll=3600.0)
    for _ in range(5):
        assert handle.wait(0.001) == "running"
    assert server.requests.count("GET /runs/run-0") == 1


PIPELINE = """
from turnout import pipeline, step

@step
def start(number: int) -> int:
    return number

@step
def double(number: int) -> int:
    return 2 * number

@pipeline
def linear(number: int = 3) -> None:
    double(start(number))
"""


@pytest.fixture
def project(server: Any, tmp_path: Path) -> Path:
    """A project whose stack ``far.yaml`` is on the stand-in, and whose pipeline is to run each day."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pipeline.py").write_text(PIPELINE, encoding="utf-8")
    settings = {"type": "kubeflow", "url": server.url, "token": "${secret:KUBEFLOW_TOKEN}", "poll": 0.1}
    stack = {"extends": "local", "orchestrator": settings, "secrets": {"type": "env"}}
    stack["pipelines"] = {"linear": {"schedule": "@daily"}}
    (project / "far.yaml").write_text(json.dumps(stack), encoding="utf-8")
    return project


def turnout(project: Path, name: str, token: str) -> subprocess.Popen[str]:
    """Start a command of the pipeline on the stand-in."""
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("turnout")), name, "pipeline.py", "--stack", "far.yaml"],
        cwd=project,
        env={**os.environ, "KUBEFLOW_TOKEN": token, "TURNOUT_CACHE": str(project.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_publishing_and_taking_it_back(server: Any, project: Path) -> None:
    for name, expected, left in (
        ("publish", f"linear is at {server.url}/#/pipelines/details/pipeline-1", 1),
        ("unpublish", f"linear is gone from {server.url}/#/pipelines/details/pipeline-1", 0),
    ):
        process = turnout(project, name, server.token)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
        assert expected in text
        assert [len(found) for found in (server.pipelines, server.versions, server.recurring)] == [left] * 3
        assert server.token not in text
    assert server.runs == {}


@pytest.fixture
def command(server: Any, project: Path) -> Iterator[Any]:
    """A ``turnout run`` that somebody follows."""
    process = turnout(project, "run", server.token)
    yield process
    process.kill()
    process.wait()


def test_a_run_is_stopped_where_its_command_is(server: Any, command: Any) -> None:
    until(lambda: "GET /runs/run-0" in server.requests)
    command.send_signal(signal.SIGINT)
    text, _ = command.communicate(timeout=60)
    assert command.returncode == 1, text
    assert "was cancelled before its first step began" in text
    assert f"{server.url}/#/runs/details/run-0" in text
    assert server.requests.count("POST /runs/run-0:terminate") == 1
    assert "Traceback" not in text


def test_a_run_is_stopped_where_its_command_does_not_know_yet_that_it_began(server: Any, project: Path) -> None:
    server.held = threading.Event()
    process = turnout(project, "run", server.token)
    try:
        until(lambda: "run-0" in server.runs)
        process.send_signal(signal.SIGINT)
        server.held.set()
        text, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0, text
    assert server.requests.count("POST /runs/run-0:terminate") == 1
    assert "Traceback" not in text


def test_a_run_is_followed_by_its_command(server: Any, command: Any, project: Path, tmp_path: Path) -> None:
    """The test does the work of the containers."""
    until(lambda: "GET /runs/run-0" in server.requests)
    made = server.runs["run-0"]
    containers = made["pipeline_spec"]["deploymentSpec"]["executors"]
    for name in ("start", "double", "finish"):
        given = {
            "inputs": {"parameterValues": {**made["runtime_config"]["parameters"], "engine-run": "run-0"}},
            "outputs": {"outputFile": str(tmp_path / f"{name}.json")},
        }
        told = {one["name"]: one["value"] for one in containers[f"exec-{name}"]["container"]["env"]}
        store = {"TURNOUT_STORE": str(project / ".turnout" / "store"), "TURNOUT_CACHE": str(tmp_path / "cache")}
        subprocess.run(
            [sys.executable, "-m", "turnout_kubeflow.launch", "--executor-input", json.dumps(given)],
            env={**os.environ, **told, **store},
            check=True,
            capture_output=True,
        )
    made["state"] = "SUCCEEDED"
    text, _ = command.communicate(timeout=60)
    assert command.returncode == 0, text
    lines = [line for line in text.splitlines() if "succeeded" in line]
    assert [name for name in ("start", "double") if any(name in line for line in lines)] == ["start", "double"]


def test_a_server_that_is_away_for_a_moment_ends_nothing(server: Any, start: Any) -> None:
    handle = start(url=server.url, token=server.token, poll=0.05)
    server.failures = 3
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(handle.wait(60)))
    thread.start()
    until(lambda: server.failures == 0)
    server.runs["run-0"]["state"] = "FAILED"
    thread.join(60)
    assert found == ["failed"]
