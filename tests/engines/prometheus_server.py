"""A Prometheus of this machine, and what it is asked."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 180.0

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus is not installed: apt-get install prometheus",
)


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def prometheus(folder: Path, data: Path) -> Iterator[str]:
    """The address of a Prometheus that runs by ``prometheus.yml`` of a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["prometheus", "--config.file", "prometheus.yml", "--storage.tsdb.path", str(data)]
    with data.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--web.listen-address", f"127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(url: str, path: str, **parameters: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as response:
        return json.load(response)["data"]


def values(url: str, query: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The answers to a query, by their labels."""
    found = ask(url, "query", query=query)["result"]
    return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}


def wait(until: Callable[[], Any], meanwhile: Callable[[], Any] = lambda: None) -> Any:
    """The first true value that *until* has."""
    deadline = time.monotonic() + PATIENCE
    while True:
        meanwhile()
        try:
            if value := until():
                return value
        except OSError as error:
            value = error
        assert time.monotonic() < deadline, value
        time.sleep(0.3)
