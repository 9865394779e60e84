"""Pickles, by whatever a materializer does: found in the files that were saved, and stopped where one is read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickletools
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_HEAD = 1 << 12
_TEXT = 1 << 20
"""Up to this size in bytes a file is tried as a pickle of an old protocol, which has no mark at its start."""
_ACTING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "REDUCE", "BUILD"})
_COMPRESSED: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


def holds_pickle(folder: Path) -> bool:
    """Whether a file below a folder is a pickle: as such, compressed, an array of objects, or a part of an archive."""
    return any(_is_pickle(path) for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        stream.seek(max(0, path.stat().st_size - 1))
        last = stream.read(1)
    if _is_marked(head):
        return last == b"."
    if head.startswith(b"\x93NUMPY"):
        return _is_object_array(head)
    if zipfile.is_zipfile(path):
        return _is_archive_of_pickles(path)
    if head[:1] == b"\x78":
        return _is_marked(_inflated(head))
    for mark, opened in _COMPRESSED:
        if head.startswith(mark):
            try:
                with opened(path, "rb") as stream:
                    return _is_marked(stream.read(2))
            except (OSError, EOFError, lzma.LZMAError, zlib.error):
                return False
    return last == b"." and path.stat().st_size <= _TEXT and _is_old(path.read_bytes())


def _is_marked(head: bytes) -> bool:
    """Whether something begins as pickles of protocol 2 and later do."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _is_object_array(head: bytes) -> bool:
    return b"'descr': '|O'" in head or b"'|O" in head[:256]


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(head, 2)
    except zlib.error:
        return b""


def _is_archive_of_pickles(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    head = stream.read(256)
                if _is_marked(head) or (head.startswith(b"\x93NUMPY") and _is_object_array(head)):
                    return True
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error, EOFError):
        return False
    return False


def _is_old(data: bytes) -> bool:
    """Whether all of it is a pickle of protocol 0 or 1 that makes an object."""
    acts = False
    try:
        for opcode, _, _ in pickletools.genops(data):
            acts = acts or opcode.name in _ACTING
    except Exception:  # whatever bytes that are no pickle come to
        return False
    return acts


_stop: ContextVar[Callable[[], None] | None] = ContextVar("stop", default=None)
_hooked: list[bool] = []


@contextmanager
def stopped_by(stop: Callable[[], None]) -> Iterator[None]:
    """While it lasts, *stop* is called where a pickle that is read names a class; what it raises ends that."""
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked.append(True)
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and (stop := _stop.get()) is not None:
        stop()
