"""Processes forked from this one: each is handed lines over a pipe and says over another that it has dealt with them.

What a forked process does stays its own. One that dies takes the process that forked it along, in the same way: so
whoever started the first of them sees how the last one ended, and is rid of all that they left.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, NoneType
from typing import NoReturn

PATIENCE = 2.0
"""Seconds between asking a process to end that has cut its pipe, and killing it."""
HARMLESS = frozenset({"jemalloc_bg_thd", "polars-ooc-clea"})
"""Threads that a forked process does without: the allocator of pyarrow and Polars starts its own anew, and what the
other removes, spilled files, only a query writes."""
FRAGILE = frozenset({"cudf", "jax", "rmm", "tensorflow"})
"""Libraries that do not survive a fork, whether they have started threads or not."""

Work = Callable[[int, int], None]
_released: set[int] = set()
"""The processes that are handed nothing more, and have not ended yet."""


class Process:
    """A process that this one has started, and this one's ends of its pipes."""

    def __init__(self, pid: int, requests: int, replies: int) -> None:
        self.pid = pid
        self._requests = requests
        self._replies = lines(replies)
        self.descriptors = (requests, replies)

    def ask(self, line: bytes) -> bytes:
        """Hand it a line and wait for its reply. Where it dies instead, so does this process, in the same way."""
        with _busy:
            with contextlib.suppress(BrokenPipeError):
                write(self._requests, line + b"\n")
            reply = next(self._replies, None)
            if reply is None:
                imitate(self._stop())
        return reply

    def release(self) -> None:
        """Hand it nothing more: it ends when it has dealt with what it was handed."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        _released.add(self.pid)

    def _stop(self) -> int:
        """The status of a process that has died, or is made to: it does not answer any more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)  # changes nothing for one that is about to end
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)[1]


def fork(work: Work, close: Sequence[int] = ()) -> Process:
    """Fork a process that does *work*, given its ends of the pipes, and ends.

    Args:
        close: descriptors that it does not need.
    """
    reader, requests = os.pipe()
    replies, writer = os.pipe()
    if pid := _fork():
        os.close(reader)
        os.close(writer)
        return Process(pid, requests, replies)
    try:
        _released.clear()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for descriptor in (requests, replies, *close):
            os.close(descriptor)
        work(reader, writer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _fork() -> int:
    flush()  # what is in a buffer is written once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is said of forks is about processes with threads
        return os.fork()


def start(arguments: Sequence[str], keep: Sequence[int]) -> Process:
    """Start a process anew, as ``ARGUMENTS READER WRITER``, which keeps some descriptors of this one."""
    reader, requests = os.pipe()
    replies, writer = os.pipe()
    process = subprocess.Popen([*arguments, str(reader), str(writer)], pass_fds=(reader, writer, *keep))
    process.returncode = 0  # it is waited for by its number
    os.close(reader)
    os.close(writer)
    return Process(process.pid, requests, replies)


def apart(work: Callable[[], object]) -> None:
    """Do something in a process of its own, for what it leaves on the disk; whatever goes wrong is met again later."""
    if pid := _fork():
        os.waitpid(pid, 0)
        return
    with contextlib.suppress(BaseException):
        work()
    os._exit(0)


def is_safe() -> bool:
    """Whether a process forked from this one is sure to work: no thread is lost, no library forbids it."""
    if sys.platform != "linux" or not FRAGILE.isdisjoint(sys.modules):
        return False
    if _threads() <= HARMLESS:
        return True
    apart(lambda: None)  # BLAS libraries end their threads before a fork, and start them anew when they need them
    return _threads() <= HARMLESS


def _threads() -> set[str]:
    """The names of this process's threads but the main one, as the system knows them."""
    names = set()
    for task in Path("/proc/self/task").iterdir():
        if task.name != str(os.getpid()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                names.add((task / "comm").read_text(encoding="utf-8").strip())
    return names


def begin() -> None:
    """Let this process be a fresh one, which was forked: it has its own random numbers, and nothing to do at its end.

    What Python itself has to do at the end of a process stays.
    """
    if (numbers := sys.modules.get("numpy.random")) is not None:
        numbers.seed()  # as Python does for its own
    atexit._clear()
    for finalizer in weakref.finalize._registry.values():  # type: ignore[attr-defined]
        finalizer.atexit = False
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    for module, function in (("logging", "shutdown"), ("multiprocessing.util", "_exit_function")):
        if module in sys.modules:
            atexit.register(getattr(sys.modules[module], function))


def leave() -> NoReturn:
    """End this process as Python ends one: it waits for threads, calls what was registered, and flushes."""
    for last in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            last()
        except BaseException:
            traceback.print_exc()
    flush()
    os._exit(0)


@contextlib.contextmanager
def only_here() -> Iterator[None]:
    """Let a process that is forked within, and not ended there, end where it would go on: one process alone goes on."""
    process = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() == process:
            raise
        code = error.code if isinstance(error, SystemExit) else 1
        if not isinstance(error, SystemExit) or not isinstance(code, (int, NoneType)):
            traceback.print_exc()
            code = 1
        flush()
        os._exit((code or 0) & 0xFF)
    if os.getpid() != process:
        flush()
        os._exit(0)


def flush() -> None:
    """Flush the standard streams, whatever a step made of them."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()


def cut_off(*descriptors: int) -> None:
    """Let nothing more go through descriptors, which stay open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def imitate(status: int) -> NoReturn:
    """End as another process did, whose status this is."""
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with contextlib.suppress(OSError):  # nobody can handle SIGKILL
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def reap(options: int = os.WNOHANG) -> None:
    """Take note of released processes that have ended."""
    for pid in tuple(_released):
        if os.waitpid(pid, options)[0]:
            _released.discard(pid)


def outlast() -> None:
    """Wait for the end of all released processes: what they still do is not cut short."""
    reap(0)


class _Busy:
    """Whether this process waits for another, which then is who ends: a signal to end is heeded after it."""

    def __init__(self) -> None:
        self._waits = False
        self._ends = False

    def heed(self, number: int, frame: FrameType | None) -> None:
        """End by a signal, at once or as soon as the other process has replied or died."""
        del number, frame
        self._ends = True
        if not self._waits:
            os._exit(128 + signal.SIGTERM)

    def __enter__(self) -> None:
        self._waits = True

    def __exit__(self, *_: object) -> None:
        self._waits = False
        if self._ends:
            os._exit(128 + signal.SIGTERM)


_busy = _Busy()


def outlive() -> None:
    """Let a signal that ends this process's group reach its children first: they may handle it in their time."""
    signal.signal(signal.SIGTERM, _busy.heed)


def lines(descriptor: int) -> Iterator[bytes]:
    """The lines that can be read, one at a time."""
    buffer = b""
    while data := os.read(descriptor, 1 << 16):
        *whole, buffer = (buffer + data).split(b"\n")
        yield from whole


def write(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(descriptor, data) :]
