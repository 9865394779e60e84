"""Processes that materialize, made by a server that has imported Feast once."""

from __future__ import annotations

import os
import signal
import time
import warnings
from typing import Any

HOURS = (7, 9, 11, 13)
"""The ends of the windows that each process asks for, one after the other."""


def write(folder: str, told: Any) -> None:
    """Bring the weather online, window after window, and tell which of them this process has done."""
    store = _store(folder)
    for hour in HOURS:
        (done,) = _materialize(store, hour)
        if not done.note:
            told.put(hour)


def write_one(folder: str, told: Any, view: str, go: Any) -> None:
    """Bring one view online, and one that the others bring online, too, once all may begin."""
    store = _store(folder)
    store.describe()
    told.put(view)
    go.wait()
    _materialize(store, 13, view)
    _materialize(store, 13, "counted", force=True)


def killed_with_its_turn(folder: str, told: Any) -> None:
    """Begin the first window, and never end it."""

    def progress(view: str, share: float) -> None:
        told.put("begun")
        time.sleep(3600)

    _materialize(_store(folder), HOURS[0], progress=progress)


def killed_before_its_note(folder: str, told: Any) -> None:
    """Write the rows of the first window, and end before the registry knows of it."""
    from turnout_feast.repository import Repository

    Repository.changing = lambda self: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, method-assign]
    _materialize(_store(folder), HOURS[0])


def _store(folder: str) -> Any:
    from turnout_feast.feature_store import FeastFeatureStore
    from turnout_feast.settings import FeastSettings

    warnings.simplefilter("ignore")
    return FeastFeatureStore(FeastSettings(repo=folder))


def _materialize(store: Any, hour: int, view: str = "weather", **options: Any) -> Any:
    from turnout.testing.feature_store import at

    return store.materialize(at(hour), views=[view], **options)
