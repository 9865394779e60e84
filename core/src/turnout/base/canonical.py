"""Canonical JSON and digests: the same value gives the same bytes on every machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from turnout.base.texts import encodable

CHUNK = 1 << 20
COPIED = 1 << 18
"""Bytes of a file that are copied at a time: few enough to be hashed before they leave the processor's cache."""
DIGITS = 14_000
"""The bits of an int from which on its decimal digits, some 4,200, are too many for readers of JSON, and for Python."""
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a document raises: no JSON, other fields, no UTF-8, nested too deep."""

_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: Any) -> bytes:
    """Encode *value* as canonical JSON: sorted keys, no white space, UTF-8, shortest floats.

    Raises:
        TypeError: for a value JSON cannot hold.
    """
    return _encoder.encode(value)


def writable(value: Any) -> Any:
    """JSON with what its text cannot hold escaped: half a character, and in hex an int of too many digits."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, int) and value.bit_length() > DIGITS:
        return hex(value)
    if isinstance(value, (list, tuple)):
        return [writable(item) for item in value]
    if isinstance(value, Mapping):
        return {writable(key): writable(item) for key, item in value.items()}
    return value


def pretty(value: Any) -> bytes:
    """The canonical encoding, indented by two spaces and closed by a line feed."""
    return msgspec.json.format(encode(value), indent=2) + b"\n"


def digest(data: bytes) -> str:
    """The SHA-256 of *data*, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON."""
    return digest(encode(value))


def digest_stream(stream: BinaryIO) -> tuple[str, int]:
    """The SHA-256 and the size in bytes of what is left in *stream*, read in chunks of a mebibyte."""
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return hasher.hexdigest(), size


def digest_file(path: Path) -> tuple[str, int]:
    """The SHA-256 and the size in bytes of a file."""
    with path.open("rb") as stream:
        return digest_stream(stream)


class DigestReader:
    """A stream that is read in pieces, and the SHA-256 and the size in bytes of what has been read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.size = 0
        self._stream = stream
        self._hasher = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of what has been read."""
        return self._hasher.hexdigest()

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end."""
        data = self._stream.read(size)
        self._hasher.update(data)
        self.size += len(data)
        return data

    def fill(self, buffer: memoryview) -> int:
        """Fill a buffer of bytes with the next ones, and return its size.

        Raises:
            EOFError: when there are fewer.
        """
        place = 0
        while place < len(buffer):
            count = self._stream.readinto(buffer[place : place + COPIED])  # type: ignore[attr-defined]
            if not count:
                raise EOFError(f"{len(buffer) - place} bytes are missing")
            self._hasher.update(buffer[place : place + count])
            place += count
        self.size += place
        return place


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file's content, and return the SHA-256 and the size in bytes of what was written."""
    hasher, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(COPIED))
    with source.open("rb", buffering=0) as given, target.open("wb") as made:
        while count := given.readinto(buffer):
            hasher.update(buffer[:count])
            made.write(buffer[:count])
            size += count
    return hasher.hexdigest(), size


_SCALARS = frozenset({str, int, float, bool, type(None)})


@lru_cache(maxsize=256)
def _shape(kind: type[Any]) -> tuple[dict[str, Any], tuple[tuple[str, Any], ...]] | None:
    """A struct's tag, and the names of its fields with their defaults; None of any other type.

    The default of a required field is ``msgspec.NODEFAULT``.
    """
    if not issubclass(kind, msgspec.Struct):
        return None
    found = []
    for field in msgspec.structs.fields(kind):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        found.append((field.name, default))
    config = kind.__struct_config__
    return {} if config.tag is None else {str(config.tag_field): config.tag}, tuple(found)


def without_defaults(value: Any) -> Any:
    """Structs as plain data, without the fields that equal their defaults, so that equal structs give equal bytes.

    (msgspec's own ``omit_defaults`` goes by identity: what it omits depends on how a struct was made.)
    """
    kind: type = type(value)
    if kind in _SCALARS:
        return value
    if (shape := _shape(kind)) is not None:
        plain = dict(shape[0])
        for name, default in shape[1]:
            item = getattr(value, name)
            if item is not default and (type(item) is not type(default) or item != default):
                plain[name] = item if type(item) in _SCALARS else without_defaults(item)
        return plain
    if isinstance(value, (list, tuple)):
        return [without_defaults(item) for item in value]
    if isinstance(value, dict):
        return {key: without_defaults(item) for key, item in value.items()}
    return value


def is_json(value: Any) -> bool:
    """Whether *value* is JSON as turnout's canonical form allows it: no NaN, no infinity, string keys."""
    if value is None or isinstance(value, (bool, int, str)):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, tuple)):
        return all(is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    return False
