"""The bytes of a code package: an uncompressed zip archive that follows from paths, contents and permissions alone."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterable
from typing import NamedTuple

VALUES = ".turnout-values"
"""The folder of a code package that holds functions by value; a project cannot have one of its own."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Member(NamedTuple):
    """A file of a code package: its relative path with forward slashes, its content, its permission to run."""

    path: str
    data: bytes
    executable: bool = False


def pack(members: Iterable[Member]) -> bytes:
    """The archive of these files: sorted, functions by value last, stored (compressors differ), with one fixed time.

    An unpacked package is checked by packing it again: where this form changes, what was unpacked before does not pass.
    """
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member in sorted(members, key=lambda one: (one.path.startswith(f"{VALUES}/"), one.path)):
            entry = zipfile.ZipInfo(member.path, _EPOCH)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | (0o755 if member.executable else 0o644)) << 16
            archive.writestr(entry, member.data)
    return buffer.getvalue()
