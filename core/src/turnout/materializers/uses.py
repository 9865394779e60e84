"""The modules and classes that a saved value needs where it is read: found by their names in what was written.

A name that a pickle looks up stands in it as a text, once at least; so do those in plain forms. More may be found than
is needed, when data holds such a name. That makes a step run that need not; the reverse would be a wrong hit.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_CHUNK = 1 << 22
_OVERLAP = 512
_NAME = re.compile(rb"(?:\x8c(.)|X(.)\x00\x00\x00|[ci\n'\":])([A-Za-z_][\w.]*)", re.DOTALL)
"""A name as pickles write it, with its length or on a line, and as JSON does, in quotes or after a colon."""
_OPENED: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
)
_UNREADABLE = (b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18")
"""What LZ4 and Zstandard begin with: no names are found in these."""


def in_files(folder: Path) -> tuple[str, ...] | None:
    """What the files below a folder name; None where they are compressed in a way that cannot be read here."""
    words: set[bytes] = set()
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                words.update(_words(path))
    except (_Unreadable, zipfile.BadZipFile, OSError, EOFError, lzma.LZMAError, zlib.error, RuntimeError):
        return None
    return _known(words)


def in_text(data: bytes) -> tuple[str, ...]:
    """What a plain form names."""
    return _known(_found_in(data))


class _Unreadable(Exception):
    pass


def _words(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(_UNREADABLE):
        raise _Unreadable
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    yield from _scanned(stream)
        return
    opened = next((opened for mark, opened in _OPENED if head.startswith(mark)), open)
    if head[:1] == b"\x78":
        yield from _found_in(_inflated(path.read_bytes()))
    with opened(path, "rb") as stream:
        yield from _scanned(stream)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


def _scanned(stream: Any) -> Iterator[bytes]:
    before = b""
    while data := stream.read(_CHUNK):
        yield from _found_in(before + data)
        before = (before + data)[-_OVERLAP:]


def _found_in(data: bytes) -> Iterator[bytes]:
    for short, long, word in _NAME.findall(data):
        yield word[: (short or long)[0]] if short or long else word


def _known(words: Iterable[bytes]) -> tuple[str, ...]:
    """The modules among some words, those of installed packages by the first part of their names; of others with the
    names in them that the words hold, else as a whole."""
    names = {word.decode() for word in words if word.isascii()}
    found: set[str] = set()
    for name in names & sys.modules.keys():
        top = name.partition(".")[0]
        module = sys.modules[name]
        if top == "turnout" or top in sys.stdlib_module_names or not isinstance(module, ModuleType):
            continue
        if name != "__main__" and _is_installed(module):
            found.add(top)
            continue
        held = {f"{name}:{one.partition('.')[0]}" for one in names if one.partition(".")[0] in vars(module)}
        found |= held or {name}
    return tuple(sorted(found))


def _is_installed(module: ModuleType) -> bool:
    places = {getattr(module, "__file__", None) or "", *map(str, getattr(module, "__path__", ()))}
    return any(part in place for place in places for part in ("site-packages", "dist-packages"))
