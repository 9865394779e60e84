"""Waiting for what other processes do, and whether one still runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def until(condition: Callable[[], object]) -> None:
    """Wait for something to hold; a minute says that it never will."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "it does not hold after a minute"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
