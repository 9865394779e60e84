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

from turnout.base.redaction import Redactor

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
    passage = _Process.standing
    if passage is not None and not passage.is_taken():
        passage.end()
        passage = None
    if passage is None:
        passage = _Passage()
        if _Process.own:
            _Process.standing = passage
            atexit.unregister(_leave)
            atexit.register(_leave)
    if redactor not in passage.redactors:
        passage.redactors.append(redactor)
    try:
        yield
    finally:
        passage.settle()
        if not _Process.own:
            passage.end()


def print_to(target: int) -> None:
    """Let all that is printed from now on go to a descriptor: through the redactor, where that stays."""
    passage = _Process.standing
    if passage is not None and passage.is_taken():
        passage.settle()
        passage.lead(target)
        return
    for number in (1, 2):
        os.dup2(target, number)


@contextmanager
def unredacted_output() -> Iterator[BinaryIO]:
    """The standard output itself, after all that was printed: for an engine, which reads what turnout writes there.

    What a child prints after that, where output is redacted, goes to the standard error.
    """
    _flush()
    passage = _Process.standing
    if passage is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    passage.settle()
    passage.divert()
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

    def __init__(self) -> None:
        _flush()
        self.redactors: list[Redactor] = []
        self.saved = (os.dup(1), os.dup(2))
        self._streams = (sys.stdout, sys.stderr)
        self._pumps = tuple(_Pump(number, self.redactors) for number in (1, 2))
        self._shown = [_shown(stream, number, self.redactors) for number, stream in enumerate(self._streams, 1)]
        sys.stdout, sys.stderr = self._shown

    def is_taken(self) -> bool:
        """Whether the descriptors lead here."""
        return all(pump.takes(number) for number, pump in enumerate(self._pumps, 1))

    def lead(self, target: int) -> None:
        """Let what is printed go to another descriptor."""
        for descriptor in (*self.saved, *(pump.target for pump in self._pumps)):
            os.dup2(target, descriptor, inheritable=False)

    def settle(self) -> None:
        """Wait until all that was printed so far is written."""
        for stream in self._shown:
            if isinstance(stream, _Redacted):
                stream.end()
        _flush(*self._shown)
        for pump in self._pumps:
            pump.settle()

    def divert(self) -> None:
        """Let what still comes for the standard output go where the standard error goes."""
        os.dup2(self.saved[1], self._pumps[0].target, inheritable=False)

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

    def __init__(self, number: int, redactors: list[Redactor]) -> None:
        reader, self._writer = os.pipe()
        self._redactors = redactors
        self._mark = b"\0" + os.urandom(16).hex().encode() + b"\n"
        self._settled = threading.Semaphore(0)
        self.target = os.dup(number)
        self._thread = threading.Thread(target=self._run, args=(reader,), daemon=True, name=PUMP)
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

    def _run(self, reader: int) -> None:
        with os.fdopen(reader, "rb") as source, os.fdopen(self.target, "wb", buffering=0) as sink:
            for line in source:
                settled = line.endswith(self._mark)
                data = line[: -len(self._mark)] if settled else line
                for redactor in self._redactors:
                    data = redactor.data(data)
                rest = memoryview(data)
                with suppress(OSError):  # whoever reads us is gone; the step must still be able to write
                    while rest:
                        rest = rest[sink.write(rest) :]
                if settled:
                    self._settled.release()


def _flush(*streams: TextIO) -> None:
    for stream in (*streams, sys.stdout, sys.stderr):
        with suppress(ValueError, OSError, AttributeError):
            stream.flush()


def _shown(stream: TextIO, number: int, redactors: list[Redactor]) -> TextIO:
    try:
        direct = stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        direct = False
    return stream if direct else cast("TextIO", _Redacted(stream, redactors))


class _Redacted(io.TextIOBase):
    """A text stream that hands whole lines on to another, without secrets."""

    encoding = "utf-8"

    def __init__(self, target: TextIO, redactors: list[Redactor]) -> None:
        self._target = target
        self._redactors = redactors
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, newline, self._rest = (self._rest + text).rpartition("\n")
        if newline:
            self._hand_on(whole + newline)
        return len(text)

    def _hand_on(self, text: str) -> None:
        for redactor in self._redactors:
            text = redactor.text(text)
        self._target.write(text)

    def flush(self) -> None:
        self._target.flush()

    def end(self) -> None:
        """Hand on what no line feed has closed."""
        self._hand_on(self._rest)
        self._rest = ""
