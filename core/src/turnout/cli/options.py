"""Options and helpers that several commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
import msgspec

from turnout.base import canonical
from turnout.base.errors import ConfigError
from turnout.base.texts import shown, shown_line
from turnout.cli.screen import terminal
from turnout.model.scalars import Typed

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def stack_option(command: CommandT) -> CommandT:
    """``--stack``: the stack's name or file."""
    return click.option(
        "--stack", "-s", metavar="STACK", help="A stack's name or file; else TURNOUT_STACK, the project's, local."
    )(command)


def json_option(command: CommandT) -> CommandT:
    """``--json``: the answer as one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: Any) -> None:
    """Print a value as indented canonical JSON, in which nothing acts on a terminal."""
    try:
        text = canonical.pretty(value).decode()
    except ValueError:  # half a character, or a number of too many digits
        text = canonical.pretty(canonical.writable(msgspec.to_builtins(value))).decode()
    sys.stdout.write(
        re.sub("[\x7f-\uffff]", lambda one: one[0] if one[0] == shown(one[0]) else f"\\u{ord(one[0]):04x}", text)
    )


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """``key=value`` options as a dict.

    Raises:
        ConfigError: for one without an equals sign.
    """
    found = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise ConfigError(f"{option} {item!r} is not of the form name=value", fix=f"write {option} name=value")
        found[key] = value
    return found


def parameters(given: Iterable[str]) -> dict[str, str]:
    """The values of ``-p name=value``, as a person typed them; raises ConfigError as :func:`pairs` does."""
    return {name: Typed(value) for name, value in pairs(given, "--param").items()}


def shown_time(text: str) -> str:
    """A time of a record as people write it, to the second."""
    return text[:19].replace("T", " ")


def as_text(value: Any) -> str:
    """A value on a line: a text as it is, ``none``, anything else as canonical JSON."""
    if isinstance(value, str):
        return value
    return "none" if value is None else canonical.encode(value).decode()


def shown_param(value: Any, plain: Callable[[Any], str] = str) -> str:
    """A parameter's value as people read it: a file or folder by its URL or name and the start of its digest, others
    *plain*."""
    if isinstance(value, dict):
        if value.keys() == {"url"}:
            return str(value["url"])
        if {"digest", "suffix"} <= value.keys() <= {"digest", "suffix", "name", "url"}:
            named = value.get("url") or value.get("name")
            return f"{named} ({value['digest'][:12]})" if named else f"{value['digest'][:12]}{value['suffix']}"
    return plain(value)


def table(columns: list[str], rows: Iterable[Iterable[str]], *, head: bool = False) -> None:
    """Print rows as a table: aligned and coloured on a terminal, tab-separated lines elsewhere.

    Args:
        head: print the names of the columns elsewhere, too: where they are not always the same.
    """
    if not sys.stdout.isatty():
        for row in [columns, *rows] if head else rows:
            print("\t".join(map(shown_line, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(Text(shown_line(column)), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(shown_line(cell)) for cell in row))
    Console(file=terminal()).print(drawn)
