"""Python source as a formatter would leave it: values as literals, calls on one line where they fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WIDTH = 100


class Code(str):
    """Source that stands as it is; any other value is written as a literal.

    ``parts`` are what opens it, what stands in it one by one, and what closes it, where it can be laid out in lines.
    """

    __slots__ = ("parts",)
    parts: tuple[str, tuple[str, ...], str] | None

    def __new__(cls, source: str, parts: tuple[str, tuple[str, ...], str] | None = None) -> Code:  # noqa: PYI034 - Self is of 3.11
        code = super().__new__(cls, source)
        code.parts = parts
        return code


def nested(opening: str, items: Iterable[str], closing: str) -> Code:
    """Source that goes onto one line if it fits, else a line an item."""
    items = tuple(items)
    return Code(f"{opening}{', '.join(items)}{closing}", (opening, items, closing) if items else None)


def literal(value: Any) -> str:
    """A value as Python source; texts get double quotes where that needs no escape more."""
    if isinstance(value, Code):
        return value
    if isinstance(value, str):
        text = repr(value)
        plain = text[0] == "'" and '"' not in text and "\\'" not in text
        return f'"{text[1:-1]}"' if plain else text
    if isinstance(value, dict):
        return nested("{", [_named(f"{literal(key)}: ", item) for key, item in value.items()], "}")
    if isinstance(value, (list, tuple)):
        return nested("[", [literal(item) for item in value], "]")
    return repr(value)


def arguments(given: dict[str, Any]) -> list[str]:
    """Keyword arguments, each as source."""
    return [_named(f"{name}=", value) for name, value in given.items()]


def _named(name: str, value: Any) -> str:
    source = literal(value)
    if isinstance(source, Code) and source.parts:
        opening, items, closing = source.parts
        return nested(f"{name}{opening}", items, closing)
    return f"{name}{source}"


def call(function: str, given: Iterable[str], indent: int = 0, end: str = "") -> str:
    """A call after *indent* spaces, on one line if it fits with its *end*, else with an argument a line.

    The spaces before its first line are left to the caller.
    """
    return _laid(nested(f"{function}(", given, ")"), indent, end)


def _laid(source: str, indent: int, end: str) -> str:
    if indent + len(source) + len(end) <= WIDTH or not isinstance(source, Code) or not source.parts:
        return f"{source}{end}"
    opening, items, closing = source.parts
    lead = " " * indent
    return "\n".join([opening, *(f"{lead}    {_laid(one, indent + 4, ',')}" for one in items), f"{lead}{closing}{end}"])


def mapping(given: dict[str, Any]) -> str:
    """A dictionary at the top of a file, with an entry a line."""
    lines = [f"    {_laid(_named(f'{literal(name)}: ', value), 4, ',')}" for name, value in given.items()]
    return "\n".join(["{", *lines, "}"])


def text(value: str, indent: int) -> Code:
    """A text of several lines as a line of source each, in parentheses."""
    lines = value.splitlines(keepends=True)
    if len(lines) < 2:
        return Code(literal(value))
    lead = " " * indent
    return Code("\n".join(["(", *(f"{lead}    {literal(line)}" for line in lines), f"{lead})"]))
