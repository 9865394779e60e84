"""What a process and its children print, passed through a redactor line by line."""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO, cast

from turnout.runtime.redaction import Redactor

PUMP = "turnout-redaction"
"""The name of the threads that output passes through."""


class _Process:
    """What holds for this process: whether it is a worker's own, and its output is redacted for good once it is."""

    own = False
    standing: _Passage | None = None


def is_a_workers() -> None:
    """From the first secret to the end of this process its output is redacted: also by what a step leaves behind."""
    _Process.own = True
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """A forked process has no threads: what it prints goes to the pipes of its parent."""
    _Process.standing = None


@contextmanager
def redacted_output(redactor: Redactor) -> Iterator[None]:
    """While it lasts, what this process and its children write to descriptors 1 and 2 passes through *redactor*.

    So does what goes to ``sys.stdout`` and ``sys.stderr`` where they lead elsewhere (pytest, notebooks). Lines pass
    whole, so that a secret split between two writes is found. What was printed is written when it ends, whoever still
    holds the pipes: a child that lives on is not waited for. In a worker's own process it stays until that ends.
    """
    if _Process.standing is not None:
        _Process.standing.end()
    passage = _Passage(redactor)
    if _Process.own:
        _Process.standing = passage
        atexit.register(_leave)
    try:
        yield
    finally:
        passage.settle()
        if not _Process.own:
            passage.end()


@contextmanager
def unredacted_output() -> Iterator[BinaryIO]:
    """The standard output itself, after all that was printed: for an engine, which reads what turnout writes there."""
    _flush()
    passage = _Process.standing
    if passage is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    passage.settle()
    with os.fdopen(os.dup(passage.saved[0]), "wb") as stream:
        yield stream


def _leave() -> None:
    """Let nothing more be printed: who would redact it is gone when Python ends."""
    passage, _Process.standing = _Process.standing, None
    atexit.unregister(_leave)
    if passage is not None:
        passage.settle()
        nothing = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nothing, number)


class _Passage:
    """The way from the descriptors 1 and 2 to where they led before, by a pipe and a thread each."""

    def __init__(self, redactor: Redactor) -> None:
        _flush()
        self.saved = (os.dup(1), os.dup(2))
        self._streams = (sys.stdout, sys.stderr)
        self._pumps = tuple(_Pump(number, redactor) for number in (1, 2))
        self._shown = [_shown(stream, number, redactor) for number, stream in enumerate(self._streams, 1)]
        sys.stdout, sys.stderr = self._shown

    def settle(self) -> None:
        """Wait until all that was printed so far is written."""
        for stream in self._shown:
            if isinstance(stream, _Redacted):
                stream.end()
        _flush(*self._shown)
        for pump in self._pumps:
            pump.settle()

    def end(self) -> None:
        """Let the descriptors lead where they led before, unless someone else has led them elsewhere."""
        sys.stdout, sys.stderr = self._streams
        for number, target, pump in zip((1, 2), self.saved, self._pumps, strict=True):
            if pump.takes(number):
                os.dup2(target, number)
            os.close(target)
            pump.release()


class _Pump:
    """A pipe in the place of a descriptor, and the thread that reads it."""

    def __init__(self, number: int, redactor: Redactor) -> None:
        reader, self._writer = os.pipe()
        self._redactor = redactor
        self._mark = b"\0" + os.urandom(16).hex().encode() + b"\n"
        self._settled = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(reader, os.dup(number)), daemon=True, name=PUMP)
        os.dup2(self._writer, number)
        self._thread.start()

    def settle(self) -> None:
        """Wait until what is in the pipe is written: until what is put into it now comes out."""
        with suppress(OSError):
            os.write(self._writer, self._mark)
        while not self._settled.acquire(timeout=1) and self._thread.is_alive():
            pass

    def takes(self, number: int) -> bool:
        """Whether a descriptor leads into the pipe."""
        return os.path.sameopenfile(self._writer, number)

    def release(self) -> None:
        """Let the thread end with the last process that holds the pipe: at once, unless a child lives on."""
        os.close(self._writer)
        self._thread.join(timeout=0.05)

    def _run(self, reader: int, target: int) -> None:
        with os.fdopen(reader, "rb") as source, os.fdopen(target, "wb", buffering=0) as sink:
            for line in source:
                settled = line.endswith(self._mark)
                rest = memoryview(self._redactor.data(line[: -len(self._mark)] if settled else line))
                with suppress(OSError):  # whoever reads us is gone; the step must still be able to write
                    while rest:
                        rest = rest[sink.write(rest) :]
                if settled:
                    self._settled.release()


def _flush(*streams: TextIO) -> None:
    for stream in (*streams, sys.stdout, sys.stderr):
        with suppress(ValueError, OSError, AttributeError):
            stream.flush()


def _shown(stream: TextIO, number: int, redactor: Redactor) -> TextIO:
    try:
        direct = stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        direct = False
    return stream if direct else cast("TextIO", _Redacted(stream, redactor))


class _Redacted(io.TextIOBase):
    """A text stream that hands whole lines on to another, without secrets."""

    encoding = "utf-8"

    def __init__(self, target: TextIO, redactor: Redactor) -> None:
        self._target = target
        self._redactor = redactor
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, newline, self._rest = (self._rest + text).rpartition("\n")
        if newline:
            self._target.write(self._redactor.text(whole + newline))
        return len(text)

    def flush(self) -> None:
        self._target.flush()

    def end(self) -> None:
        """Hand on what no line feed has closed."""
        self._target.write(self._redactor.text(self._rest))
        self._rest = ""
