"""A pod on this machine: a network namespace with processes in it, which share a loopback that nothing else sees.

Seldon's microservice listens on all addresses and cannot be told otherwise: in here that is nobody's but its pod's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SELDON = ROOT / ".venv-seldon" / "bin"
MLSERVER = ROOT / ".venv-mlserver" / "bin"
PATIENCE = 600
"""Seconds within which a server must answer."""
_HOLD = """
import ctypes, fcntl, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x40000000):  # CLONE_NEWNET
    sys.exit(f"a network namespace cannot be made: {os.strerror(ctypes.get_errno())}")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lo:
    fcntl.ioctl(lo, 0x8914, struct.pack("16sh14s", b"lo", 1, b""))  # SIOCSIFFLAGS, IFF_UP
print("ready", flush=True)
sys.stdin.read()  # until whoever started it ends
"""


def need_environment(folder: Path) -> None:
    """Skip where a server's environment was not made; with ``CI=true`` that is a failure."""
    if (folder / "python").exists():
        return
    reason = f"{folder.parent.name} is not there: `make test-engines` makes it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def need_namespaces() -> None:
    """Skip where no network namespace can be had: it takes the capabilities of root, which not every container has."""
    if reason := refused():
        pytest.skip(reason)


@lru_cache
def refused() -> str:
    done = subprocess.run(
        [sys.executable, "-c", _HOLD], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or "no network namespace can be had"


class Pod:
    """Processes in a network namespace. Use it as a context manager: all of them end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: dict[Path, subprocess.Popen[str]] = {}

    def __enter__(self) -> Pod:  # noqa: PYI034 - Self is of 3.11
        self._holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "no network namespace"
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.stop(name)
        for client in self._clients.values():
            assert client.stdin is not None
            client.stdin.close()
            client.wait()
            assert client.stdout is not None
            client.stdout.close()
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in this pod."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *command]

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path | None = None) -> None:
        """Start a process; what it prints goes into ``NAME.log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.inside(command),
                cwd=folder,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, name: str) -> None:
        """End a process and all that it has started: Seldon's does not listen to a SIGTERM."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log(self, name: str) -> str:
        """What a process has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def ask(self, environment: Path, **request: Any) -> dict[str, Any]:
        """What a server here answers, asked by a client in an environment (``pod_client.py`` has the requests)."""
        if environment not in self._clients:
            command = [str(environment / "python"), str(Path(__file__).with_name("pod_client.py"))]
            self._clients[environment] = subprocess.Popen(
                self.inside(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        client = self._clients[environment]
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(f"{json.dumps(request)}\n")
        client.stdin.flush()
        line = client.stdout.readline()
        assert line, "the client ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait(self, environment: Path, name: str, port: int, path: str) -> None:
        """Wait until a server answers at a path."""
        until = time.monotonic() + PATIENCE
        while self.ask(environment, port=port, path=path).get("status") != 200:
            assert self._processes[name].poll() is None, self.log(name)[-5000:]
            assert time.monotonic() < until, self.log(name)[-5000:]
            time.sleep(0.1)
