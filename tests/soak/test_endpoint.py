"""An endpoint under load for minutes: no request fails while versions replace each other, memory and files do not grow.

``TURNOUT_SOAK_SECONDS`` says for how long.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import threading
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection, HTTPException

import msgspec
import psutil
import pytest
from serving_bodies import body
from waiting import until

from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.testing.endpoints import make_served

SECONDS = float(os.environ.get("TURNOUT_SOAK_SECONDS", "180"))
BODIES = 10_000
CLIENTS = 8
GROWTH = 1.05
"""How much more memory a worker may have at the end of its time than early on."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return make_served(tmp_path_factory.mktemp("served"))


@pytest.fixture
def up(tmp_path, served):
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "endpoints"), workers=2))
    status = deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
    yield deployer, status.url
    deployer.delete("double")


class Clients:
    """Ask without a pause, some over connections that stay open, some over one for each request."""

    def __init__(self, url, served):
        self.address = url.removeprefix("http://")
        self.data = json.dumps({"rows": served.rows}).encode()
        self.due = {"predictions": served.predictions}
        self.answered, self.failed = Counter(), []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number):
        connection = HTTPConnection(self.address, timeout=60)
        while not self._done.is_set():
            try:
                connection.request("POST", "/predict", self.data)
                response = connection.getresponse()
                assert (response.status, json.load(response)) == (200, self.due)
                self.answered[response.headers["X-Turnout-Version"]] += 1
            except (OSError, HTTPException, AssertionError, ValueError) as error:
                self.failed.append(f"client {number}: {error!r}")
                connection.close()
            if number % 2:
                connection.close()
        connection.close()


def supervisor(deployer):
    known = json.loads(deployer._folder("double").processes.read_text())
    return psutil.Process(known["processes"]["supervisor"]["pid"])


def memory(process):
    """What a process has for itself, in MiB."""
    return process.memory_full_info().uss / 2**20


def watched(deployer, seconds):
    """The memory of each of the two workers in MiB, taken each second for a time."""
    until(lambda: len(supervisor(deployer).children()) == 2)  # those before them have ended
    taken = {}
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        for worker in supervisor(deployer).children():
            taken.setdefault(worker.pid, []).append(memory(worker))
        time.sleep(1)
    return taken


def test_no_request_fails_through_two_redeployments_and_nothing_grows(up, served):
    deployer, url = up
    versions = [served.endpoint, *(msgspec.structs.replace(served.endpoint, doc=f"version {n}") for n in (2, 3))]
    grown, files, handles = [], [], []
    with Clients(url, served) as clients:
        for number, version in enumerate(versions):
            if number:
                deployer.deploy(version, deployer.compile(version), served.store)
            for values in watched(deployer, SECONDS / len(versions)).values():
                quarter = len(values) // 4
                grown.append(statistics.median(values[-quarter:]) / statistics.median(values[quarter : 2 * quarter]))
            files.append(len(list(deployer._folder("double").metrics.iterdir())))
            handles.append(supervisor(deployer).num_fds())
    print(
        f"\n{dict(clients.answered)} answered; memory {[f'{one:.3f}' for one in grown]}, files {files}, handles {handles}"
    )
    assert clients.failed == []
    assert set(clients.answered) == {version.digest[:12] for version in versions}
    assert len(grown) == 6
    assert max(grown) < GROWTH
    assert files[2] == files[1]
    assert len(set(handles)) == 1


def test_a_killed_worker_loses_only_what_it_was_answering(up, served):
    deployer, url = up
    kills = 5
    with Clients(url, served) as clients:
        for n in range(kills):
            before = sum(clients.answered.values())
            until(lambda before=before: sum(clients.answered.values()) > before + 200)
            until(lambda: len(supervisor(deployer).children()) == 2)
            workers = supervisor(deployer).children()
            lost = len(clients.failed)
            workers[n % 2].send_signal(signal.SIGKILL)
            until(lambda: len(supervisor(deployer).children()) == 2)
            before = sum(clients.answered.values())
            until(lambda before=before: sum(clients.answered.values()) > before + 200)
            # each client has one request under way at most, and the other worker answers some of them
            assert len(clients.failed) - lost <= CLIENTS
    print(f"\n{sum(clients.answered.values())} answered, {len(clients.failed)} lost by {kills} kills")
    assert all("AssertionError" not in error and "timed out" not in error for error in clients.failed)


def test_spoiled_and_large_bodies_are_refused_and_memory_stays(up, served):
    deployer, url = up
    statuses = Counter()
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:

        def post(data, path="/predict", **headers):
            connection.request("POST", path, data, headers)
            response = connection.getresponse()
            response.read()
            return response.status

        for seed in range(BODIES):
            data = body(seed, served.rows, {"plus": [0, 1.5]})
            statuses[post(data)] += 1
        early = {worker.pid: memory(worker) for worker in supervisor(deployer).children()}
        for _ in range(10):
            assert post(iter([bytes(1 << 20)] * 100)) == 413
            assert post(bytes(100 << 20)) == 413
        for seed in range(BODIES):
            statuses[post(body(seed, served.rows, {"plus": [0, 1.5]}))] += 1
        assert post(json.dumps(served.rows).encode()) == 200
    late = {worker.pid: memory(worker) for worker in supervisor(deployer).children()}
    print(f"\n{dict(statuses)}; memory {early} then {late}")
    assert set(statuses) <= {200, 400, 413, 422}
    assert late.keys() == early.keys(), "no worker was started anew"
    assert all(late[pid] < early[pid] + 8 for pid in late)
