"""What ``.gitignore`` files name, where there is no git to ask."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any


class Ignored:
    """The ``.gitignore`` files of a tree, added from the top down: of those above a path, the deepest that says counts.

    A folder that is ignored is not to be entered: nothing below it can be taken back.
    """

    def __init__(self) -> None:
        self._files: list[tuple[str, Any]] = []

    def add(self, prefix: str, file: Path) -> None:
        """Take a file that lies in the folder *prefix*: empty, or a path that ends with a slash."""
        from pathspec import GitIgnoreSpec

        lines: list[str] = []
        with suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        self._files.append((prefix, GitIgnoreSpec.from_lines(lines)))

    def __call__(self, path: str) -> bool:
        """Whether a path is ignored; that of a folder ends with a slash."""
        for prefix, spec in reversed(self._files):
            if path.startswith(prefix):
                ignored = spec.check_file(path[len(prefix) :]).include
                if ignored is not None:
                    return bool(ignored)
        return False
