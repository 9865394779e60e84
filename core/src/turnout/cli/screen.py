"""The border to the terminal: what commands print passes here once, and nothing of users acts on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from turnout.base.texts import shown


class Screen:
    """A standard stream that shows control characters as text; all else is the stream's own."""

    encoding = "utf-8"
    """What the terminal cannot show is escaped, not refused."""

    def __init__(self, target: TextIO) -> None:
        self.target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)

    def write(self, text: str) -> int:
        """Write *text* as it can be shown."""
        text = shown(text)
        try:
            return self.target.write(text)
        except UnicodeEncodeError as error:
            return self.target.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


@contextmanager
def guarded() -> Iterator[None]:
    """While it lasts, what is printed is shown as text."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Screen(stream)) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
        sys.stdout, sys.stderr = before


def terminal() -> TextIO:
    """Standard output itself, for what draws: the texts in it are shown as text by who draws."""
    return sys.stdout.target if isinstance(sys.stdout, Screen) else sys.stdout
