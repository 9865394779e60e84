"""A run that an engine is asked to start: no Ctrl-C leaves it behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from turnout.components.orchestrator import RunHandle, started


class Handle(RunHandle):
    """A run that knows whether it was stopped."""

    stopped = False

    def wait(self, timeout=None):
        return "cancelled" if self.stopped else "running"

    def cancel(self):
        self.stopped = True


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C as Python takes it, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def starting(handle: Handle, presses: int) -> Callable[[], Handle]:
    def start() -> Handle:
        for _ in range(presses):
            os.kill(os.getpid(), signal.SIGINT)
        return handle

    return start


def test_a_run_is_started():
    handle = Handle()
    assert started(starting(handle, 0)) is handle
    assert not handle.stopped


def test_ctrl_c_meanwhile_stops_the_run():
    handle = Handle()
    with pytest.raises(KeyboardInterrupt):
        started(starting(handle, 1))
    assert handle.stopped


def test_ctrl_c_twice_waits_no_longer():
    handle = Handle()
    with pytest.raises(KeyboardInterrupt):
        started(starting(handle, 2))
    assert not handle.stopped


def test_an_engine_that_refuses_is_heard():
    with pytest.raises(ZeroDivisionError):
        started(lambda: 1 / 0)


def test_a_thread_has_no_signals():
    found = []
    thread = threading.Thread(target=lambda: found.append(started(starting(Handle(), 0))))
    thread.start()
    thread.join()
    assert not found[0].stopped


def test_whoever_ignores_ctrl_c_still_does():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle = Handle()
    assert started(starting(handle, 3)) is handle
    signal.signal(signal.SIGINT, signal.default_int_handler)
