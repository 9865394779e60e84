"""What holds for every test: what Python keeps, bytecode and output, is not for the machine to say."""

from __future__ import annotations

import compileall
import os
import signal
import sys
import threading
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

ALL = os.environ.get("TURNOUT_ALL_CASES") == "1"
"""Whether every case runs, as `make soak` does; else, of a class with a ``sample``, those whose names hold a part of it."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is in no sample."""
    left_out = [item for item in items if not _runs(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _runs(item)]


def _runs(item: pytest.Item) -> bool:
    sample = getattr(getattr(item, "cls", None), "sample", None)
    return ALL or sample is None or any(name in item.name for name in sample)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the bytecode of turnout and its plugins, as where they are installed, and of nothing that tests write.

    Bytecode is told from stale by second and size: of two modules of one name that a test writes in a second, the first
    would run twice. And no process of a test writes what is printed at once, but for one that sees to it itself.
    Ctrl-C reaches what the tests start, also where these run in the background, for which shells have it ignored.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ.pop("PYTHONUNBUFFERED", None)
    if hasattr(config, "workerinput"):
        return
    for package in sorted({"turnout", *(one.module.partition(".")[0] for one in entry_points(group="turnout"))}):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            compileall.compile_dir(folder, quiet=2)
