"""The five pipelines on Beam's DirectRunner: the same records, digest for digest, as a local run."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import CASES, Case
from installed import need

IN_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
SOME = [case for case in CASES if case.name in {"diamond", "fan", "guards-bad", "given-up"}]


@pytest.fixture(autouse=True)
def beam() -> None:
    need("apache-beam", "2.77")


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's own job server on loopback: what is submitted to it is the portable form of a pipeline."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("beam") / "job-server.log"
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "-p", str(port)]
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as server:
        try:
            _wait_for(port, server, log)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the job server does not answer:\n{log.read_text()}") from None
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_on_beam(case: Case, workshop: Any, run_script: Any) -> None:
    assert run_script("beam", case) == workshop.reference(case).evidence


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_on_beam_through_a_job_server(case: Case, workshop: Any, run_script: Any, job_server: str) -> None:
    options = ("--runner=PortableRunner", f"--job_endpoint={job_server}", "--environment_type=LOOPBACK")
    assert run_script("beam-portable", case, *options) == workshop.reference(case).evidence


@pytest.mark.parametrize("case", [case for case in SOME if case.succeeds], ids=lambda case: case.name)
def test_every_step_twice_at_once(case: Case, workshop: Any, run_script: Any) -> None:
    evidence = run_script("beam-twice", case, *IN_PROCESSES, copies=2)
    expected = workshop.reference(case).evidence
    assert evidence._replace(attempts={}) == expected._replace(attempts={})
    assert evidence.attempts.keys() == expected.attempts.keys()
