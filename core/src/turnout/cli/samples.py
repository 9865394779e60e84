"""The files of the repository that ``init`` and ``plugin new`` write: each is kept once, and run by our own tests."""

from __future__ import annotations

from pathlib import Path


def sample(path: str) -> str:
    """The text of a file by its path in the repository. A wheel has these files beside this module."""
    packed = Path(__file__).with_name("repository")
    root = packed if packed.is_dir() else Path(__file__).parents[4]
    return (root / path).read_text(encoding="utf-8")
