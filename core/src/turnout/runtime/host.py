"""The machine and process that an attempt ran in."""

from __future__ import annotations

import os
import platform
import socket
from functools import lru_cache

from turnout import __version__
from turnout.records.model import Host


@lru_cache(maxsize=4)
def _host(pid: int, sealed: bool) -> Host:
    return Host(
        name=socket.gethostname(), pid=pid, python=platform.python_version(), turnout=__version__, sealed=sealed
    )


WORKER = "TURNOUT_WORKER"
"""The variable by which a worker's engine finds what its steps have started, to end it with them."""


def this_host(*, sealed: bool) -> Host:
    """This process, as attempts record it."""
    return _host(os.getpid(), sealed)
