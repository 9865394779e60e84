"""Python source as ``ruff format`` and ``black`` leave it: values as literals, calls on one line where they fit."""

from __future__ import annotations

import keyword
import symtable
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

WIDTH = 88
"""How long lines may be: what both formatters take where nobody says otherwise."""


class Lines(NamedTuple):
    """How source is laid out that does not fit onto its line: what opens it, what stands in it, what closes it.

    ``comma`` follows each item; ``joined`` is all items as one, where that is a line of its own if it fits there.
    """

    opening: str
    items: tuple[str, ...]
    closing: str
    comma: str = ","
    joined: str | None = None


class Code(str):
    """Source that stands as it is; any other value is written as a literal."""

    __slots__ = ("lines",)
    lines: Lines | None

    def __new__(cls, source: str, lines: Lines | None = None) -> Code:  # noqa: PYI034 - Self is of 3.11
        code = super().__new__(cls, source)
        code.lines = lines
        return code


def nested(opening: str, items: Iterable[str], closing: str) -> Code:
    """Source that goes onto one line if it fits, else a line an item."""
    items = tuple(items)
    return Code(f"{opening}{', '.join(items)}{closing}", Lines(opening, items, closing) if items else None)


def literal(value: Any) -> str:
    """A value as Python source; texts get double quotes where that needs no escape more."""
    if isinstance(value, Code):
        return value
    if isinstance(value, str):
        if value.isprintable() and value.isascii() and not ('"' in value or "\\" in value):
            return f'"{value}"'  # as most are
        quote = '"' if value.count('"') <= value.count("'") else "'"
        parts = (repr(part)[1:-1] for part in value.split(quote))
        return f"{quote}{f'{chr(92)}{quote}'.join(parts)}{quote}"
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
    if isinstance(source, Code) and source.lines:
        return Code(f"{name}{source}", source.lines._replace(opening=f"{name}{source.lines.opening}"))
    return f"{name}{source}"


def imported(module: str, names: Iterable[str], indent: int = 0) -> str:
    """The line, or lines, that import names from a module, to be put after *indent* spaces each."""
    names = tuple(names)
    opening = f"from {module} import "
    return laid(Code(f"{opening}{', '.join(names)}", Lines(f"{opening}(", names, ")")), indent=indent)


def call(function: str, /, *positional: Any, **keywords: Any) -> Code:
    """A call of a function with values as its arguments."""
    return nested(f"{function}(", [*map(literal, positional), *arguments(keywords)], ")")


def laid(source: str, end: str = "", indent: int = 0) -> str:
    """Source and its *end* after *indent* spaces, on one line if they fit there, else with an item a line.

    The spaces before its first line are left to the caller.
    """
    if indent + len(source) + len(end) <= WIDTH or not isinstance(source, Code) or not source.lines:
        return f"{source}{end}"
    opening, items, closing, comma, joined = source.lines
    if joined is not None and indent + 4 + len(joined) <= WIDTH:
        items = (joined,)
    lead = " " * indent
    made = [opening, *(f"{lead}    {laid(one, comma, indent + 4)}" for one in items), f"{lead}{closing}{end}"]
    return "\n".join(made)


def mapping(given: dict[str, Any]) -> Code:
    """A dictionary at the top of a file, with an entry a line."""
    lines = [f"    {laid(_named(f'{literal(name)}: ', value), ',', 4)}" for name, value in given.items()]
    return Code("\n".join(["{", *lines, "}"]))


def text(value: str) -> Code:
    """A text that, where it has several lines and is too long for one, is a line of source each, in parentheses."""
    lines, joined = value.splitlines(keepends=True), literal(value)
    if len(lines) < 2:
        return Code(joined)
    return Code(joined, Lines("(", tuple(map(literal, lines)), ")", comma="", joined=joined))


def span(seconds: float) -> Code:
    """A timedelta in the largest unit that it is a whole number of."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size and seconds % size == 0:
            return call("timedelta", **{unit: int(seconds // size)})
    exact = timedelta(seconds=seconds).total_seconds()
    return call("timedelta", seconds=int(exact) if exact.is_integer() else exact)


def moment(text: str) -> Code:
    """A datetime in UTC, by its text in ISO 8601, without the zeros at its end."""
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    parts = [when.year, when.month, when.day, when.hour, when.minute, when.second, when.microsecond]
    while len(parts) > 3 and not parts[-1]:
        parts.pop()
    return call("datetime", *parts, tzinfo=Code("timezone.utc"))


def distinct(wanted: Mapping[str, str], used: Iterable[str]) -> dict[str, str]:
    """An identifier for each key, as near to the *wanted* one as can be: no keyword, and none of those in use."""
    taken, names = set(used), {}
    for key, near in wanted.items():
        name = near
        while name in taken or keyword.iskeyword(name):
            name += "_"
        names[key] = name
        taken.add(name)
    return names


def bound(name: str) -> str:
    """The name that an import binds: of ``models as k8s`` the last."""
    return name.rpartition(" ")[2]


def imports(
    modules: Mapping[str, Iterable[str]], used: Iterable[str], further: Iterable[str] = (), indent: int = 0
) -> list[str]:
    """The lines that import what is used of some modules, after *indent* spaces, in the order of isort.

    Args:
        modules: names by their modules; those of the module ``""`` are modules themselves.
        further: whole lines to be put among them.
    """
    lead, lines, used = " " * indent, list(further), frozenset(used)
    for module, names in modules.items():
        taken = sorted((name for name in names if bound(name) in used), key=_order)
        if not module:
            lines += [f"{lead}import {name}" for name in taken]
        elif taken:
            lines.append(f"{lead}{imported(module, taken, indent)}")
    return sorted(lines, key=_place)


def _order(name: str) -> tuple[bool, bool, str]:
    """Where a name stands among others of its module: constants, classes, functions."""
    return not name.isupper(), name[0].islower(), name


def _place(line: str) -> tuple[bool, str]:
    """Where a line of imports stands among others: modules first, then by their names."""
    words = line.split()
    return words[0] == "from", words[1]


def globals_of(source: str) -> frozenset[str]:
    """The names that source has at its top level, made there or read from anywhere in it, built-in ones too."""
    module = symtable.symtable(source, "the file", "exec")
    return frozenset(module.get_identifiers()).union(*map(_read, module.get_children()))


def _read(table: symtable.SymbolTable) -> frozenset[str]:
    """The global names that a class, a function and what lies in it read."""
    own = frozenset(symbol.get_name() for symbol in table.get_symbols() if symbol.is_global())
    return own.union(*map(_read, table.get_children()))
