"""The machine and process that an attempt ran in."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from turnout import __version__
from turnout.model.records import Host, Isolation


@lru_cache(maxsize=4)
def _host(pid: int, sealed: bool, isolation: Isolation) -> Host:
    version = ".".join(map(str, sys.version_info[:3]))
    return Host(
        name=os.uname().nodename, pid=pid, python=version, turnout=__version__, sealed=sealed, isolation=isolation
    )


def this_host(*, sealed: bool, isolation: Isolation = "step") -> Host:
    """This process, as attempts record it."""
    return _host(os.getpid(), sealed, isolation)
