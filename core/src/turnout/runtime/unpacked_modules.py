"""Modules of unpacked code packages: imported from sources that were checked, their bytecode kept apart and sealed.

Python believes any bytecode beside a source. A package's folder holds none, so that all of it can be checked.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any

_SEAL = hashlib.sha256().digest_size
_folders: dict[str, Path] = {}
"""Where the bytecode of each unpacked package lies."""


def add(folder: Path, bytecode: Path) -> None:
    """Let the modules in the folder of a package, which has its digest as its name, be imported in this way."""
    _folders[str(folder.resolve())] = bytecode / folder.name
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)


def _finder(path: str) -> FileFinder:
    if _package(path) is None:
        raise ImportError
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Source, SOURCE_SUFFIXES))


def _package(path: str) -> str | None:
    return next((top for top in _folders if path == top or path.startswith(f"{top}{os.sep}")), None)


class _Source(SourceFileLoader):
    def get_data(self, path: str) -> bytes:
        """A source; or bytecode, if it is what :meth:`set_data` wrote for this very module."""
        if not path.endswith(".pyc"):
            return super().get_data(path)
        data = super().get_data(str(self._apart(path)))
        if data[:_SEAL] != self._seal(data[_SEAL:]):
            raise OSError("the bytecode was changed")
        return data[_SEAL:]

    def set_data(self, path: str, data: Any, **options: Any) -> None:
        """Keep bytecode, for the next process."""
        super().set_data(str(self._apart(path)), self._seal(data) + data, **options)

    def _apart(self, path: str) -> Path:
        top = _package(self.path)
        assert top is not None
        return _folders[top] / os.path.relpath(os.path.dirname(self.path), top) / os.path.basename(path)  # noqa: PTH119, PTH120

    def _seal(self, data: bytes) -> bytes:
        return hashlib.sha256(self.path.encode(errors="surrogateescape") + b"\0" + data).digest()
