"""A pickle in this process's own memory: taken from a file without running any of it, so that it is checked before.

Large bytes, which the arrays of a pickle are, are read to where they stay: there is no second copy of them.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from turnout.base.canonical import COPIED, DigestReader

IN_MEMORY = 64 << 20
"""Bytes of a file whose smaller parts are kept in memory; those of a larger one go to a file without a name."""
LARGE = 1 << 16
"""The size in bytes from which on pickles write bytes apart from their frames."""
_FRAMED = 4
"""The protocol that has frames: a file of an older one is not looked into."""


class PrivateCopy(NamedTuple):
    """A pickle whose large bytes lie apart, in the order in which it asks for them."""

    stream: BinaryIO
    buffers: list[Any]

    def load(self) -> Any:
        """Run it: the value."""
        return pickle.load(self.stream, buffers=self.buffers)  # noqa: S301 - its digest is the one on record


def room(size: int, folder: Path) -> BinaryIO:
    """Where the smaller parts of a file of so many bytes are kept: in memory, or in a file without a name."""
    if size <= IN_MEMORY:
        return io.BytesIO()
    return tempfile.TemporaryFile(dir=folder)


def copied(source: DigestReader, size: int, stream: BinaryIO) -> PrivateCopy:
    """Read a pickle to its end.

    Args:
        source: the file; whatever it holds, nothing is run.
        size: the size in bytes that it should have; no more is made room for.
        stream: what :func:`room` made.

    Raises:
        EOFError: when the file ends too early.
    """
    buffers: list[Any] = []
    for part in _parts(source, size):
        if isinstance(part, _Large):
            stream.write(pickle.NEXT_BUFFER)
            buffers.append(part.value())
        else:
            stream.write(part)
    stream.seek(0)
    return PrivateCopy(stream, buffers)


def _parts(source: DigestReader, size: int) -> Iterator[bytes | _Large]:
    """The file in pieces, each as it is or one that stands for large bytes."""
    start = source.read(2)
    yield start
    framed = start[:1] == pickle.PROTO and start[1:] >= bytes([_FRAMED])
    while framed and (code := source.read(1)):
        width = _WIDTHS.get(code)
        if width is None:
            yield code
            break
        head = code + source.read(width)
        length = int.from_bytes(head[1:], "little") if code in _LENGTHS else 0
        if code in _BYTES and LARGE <= length <= size:
            yield _Large(head, source)
            continue
        yield head
        yield from _pieces(source, length)
    yield from _pieces(source)


def _pieces(source: DigestReader, length: int | None = None) -> Iterator[bytes]:
    """The next bytes of a file, so many or to its end."""
    while piece := source.read(COPIED if length is None else min(length, COPIED)):
        yield piece
        length = None if length is None else length - len(piece)


class _Large(io.BytesIO):
    """A pickle of nothing but bytes: the unpickler makes the object, of memory nobody has touched, and fills it."""

    def __init__(self, head: bytes, source: DigestReader) -> None:
        super().__init__(head + pickle.STOP)
        self.source = source

    def readinto(self, buffer: Any) -> int:
        return self.source.fill(buffer)

    def value(self) -> Any:
        return pickle.load(self)  # noqa: S301 - it has one opcode, which makes bytes


_PREFIXES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_WIDTHS = {
    code.code.encode("latin-1"): 0 if code.arg is None else _PREFIXES.get(code.arg.n, code.arg.n)
    for code in pickletools.opcodes
    if code.arg is None or code.arg.n != pickletools.UP_TO_NEWLINE
}
"""The bytes that follow an opcode before its content, of each but those that end with a line."""
_LENGTHS = {pickle.FRAME} | {
    code.code.encode("latin-1") for code in pickletools.opcodes if code.arg is not None and code.arg.n in _PREFIXES
}
"""The opcodes where these bytes say how much follows."""
_BYTES = {pickle.BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8}
