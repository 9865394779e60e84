"""Python source as a formatter would leave it: values as literals, calls on one line where they fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WIDTH = 100


class Code(str):
    """Source that stands as it is; any other value is written as a literal."""

    __slots__ = ()


def literal(value: Any) -> str:
    """A value as Python source; texts get double quotes where that needs no escape more."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, str):
        text = repr(value)
        plain = text[0] == "'" and '"' not in text and "\\'" not in text
        return f'"{text[1:-1]}"' if plain else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return repr(value)


def arguments(given: dict[str, Any]) -> list[str]:
    """Keyword arguments, each as source."""
    return [f"{name}={literal(value)}" for name, value in given.items()]


def call(function: str, given: Iterable[str], indent: int = 0, end: str = "") -> str:
    """A call after *indent* spaces, on one line if it fits with its *end*, else with an argument a line.

    The spaces before its first line are left to the caller.
    """
    given = list(given)
    line = f"{function}({', '.join(given)}){end}"
    if indent + len(line) <= WIDTH or not given:
        return line
    lead = " " * indent
    return "\n".join([f"{function}(", *(f"{lead}    {one}," for one in given), f"{lead}){end}"])


def text(value: str, indent: int) -> Code:
    """A text of several lines as a line of source each, in parentheses."""
    lines = value.splitlines(keepends=True)
    if len(lines) < 2:
        return Code(literal(value))
    lead = " " * indent
    return Code("\n".join(["(", *(f"{lead}    {literal(line)}" for line in lines), f"{lead})"]))
