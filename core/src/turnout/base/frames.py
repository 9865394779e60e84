"""Whose code a frame runs: a user's, or a library's."""

from __future__ import annotations

import sysconfig
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a source file is Python's own or of an installed package; Cython names its files by relative paths."""
    path = Path(file)
    return (
        file.startswith("<frozen ")
        or (path.suffix in {".pyx", ".pxi", ".pxd"} and not path.is_absolute())
        or path.is_relative_to(sysconfig.get_path("stdlib"))
        or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
    )
