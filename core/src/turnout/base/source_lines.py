"""Source lines of functions that travel by value: tracebacks of a worker, which has no file of them, show them."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

Lines = Mapping[str, Mapping[int, str]]
"""By the name of a file, or of a notebook's cell, its lines by number."""


def lines_of(codes: Iterable[CodeType]) -> Lines:
    """The lines of some code, and no others of their files: what else a cell holds stays where it is."""
    found: dict[str, dict[int, str]] = {}
    for code in codes:
        source = linecache.getlines(code.co_filename)
        numbers = {number for _, _, number in code.co_lines() if number}
        found.setdefault(code.co_filename, {}).update(
            (number, source[number - 1]) for number in sorted(numbers) if number <= len(source)
        )
    return {file: dict(sorted(lines.items())) for file, lines in found.items() if lines}


def with_lines(function: Any, lines: Lines) -> Any:
    """A function that was pickled with its lines, which tracebacks show from now on where its file is not here."""
    for file, numbered in lines.items():
        if not linecache.getlines(file):
            text = [numbered.get(number, "\n") for number in range(1, max(numbered) + 1)]
            linecache.cache[file] = (sum(map(len, text)), None, text, file)
    return function


class Pickled:
    """A function beside its lines; unpickled it is the function alone."""

    def __init__(self, function: Any, lines: Lines) -> None:
        self._parts = function, lines

    def __reduce__(self) -> tuple[Any, ...]:
        return with_lines, self._parts
