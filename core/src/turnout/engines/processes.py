"""The processes that a worker's steps started: found by a variable they inherit, whatever session they moved to."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from turnout.base.context import FAMILY as VARIABLE

GRACE = 2.0
"""Seconds between asking processes to stop and killing them."""


def death(code: int) -> str:
    """How a process ended, in words, by its exit code; a negative one is the signal that killed it."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with exit code {code}"


def mark(family: str, name: str) -> dict[str, str]:
    """The variable by which a process and all it starts are found: by *family* or by *name*, both unique."""
    inherited = os.environ.get(VARIABLE, "")
    return {VARIABLE: f"{inherited}:{family}.{name}"}


def marked(text: str) -> list[int]:
    """The ids of the running processes that bear a mark."""
    return [process.pid for process in _marked(text)]


def workers(family: str) -> list[int]:
    """The ids of the running workers of a family, whoever started them; not of what they started."""
    running = _marked(f":{family}.", "cmdline")
    return [process.pid for process in running if " turnout.runtime serve " in " ".join(process.info["cmdline"] or ())]


def _marked(text: str, *attributes: str) -> Iterator[Any]:
    import psutil

    for process in psutil.process_iter(["environ", *attributes]):
        if text in (process.info["environ"] or {}).get(VARIABLE, "") and process.pid != os.getpid():
            yield process


def leaders(pids: list[int]) -> list[int]:
    """Those of some processes that others of them were forked from: who ended one would end its steps."""
    found = []
    for process in pids:
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(process) == process:
                found.append(process)
    return found


def end(text: str, until: float | None = None) -> None:
    """Ask all processes that bear a mark to stop, and kill those that still run at *until* (monotonic)."""
    until = time.monotonic() + GRACE if until is None else until
    left = marked(text)
    _send(left, signal.SIGTERM)
    while left and time.monotonic() < until:
        time.sleep(0.02)
        left = marked(text)
    for _ in range(100):  # a process may start another one while it is looked for
        if not left:
            return
        _send(left, signal.SIGKILL)
        time.sleep(0.005)
        left = marked(text)


def _send(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
