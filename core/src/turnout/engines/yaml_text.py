"""Documents of YAML that every reader takes for the same, be it one of YAML 1.1 or of 1.2, the same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import Any

_OTHERWISE = re.compile(
    r"~|=|<<|null|true|false|y|n|yes|no|on|off|[-+]?\.(inf|nan)|(?!\d+(\.\d+){2,}\Z)[-+]?[.0-9][-+0-9a-fxob_.,:tz ]*",
    re.IGNORECASE,
)
"""What a reader of YAML 1.1 or 1.2 takes for something else than a text: nothing, a bool, a number, a time, a merge.
Wider than that, but for versions, which all take for texts."""
_BREAKS = re.compile("[\n\x85\u2028\u2029]")
"""What ends a line in YAML 1.1; in 1.2 it is the line feed alone."""


def yaml_text(document: Mapping[str, Any], long: Collection[tuple[str, ...]] = ()) -> str:
    """The text of a document, in the order of its mappings; a value that stands in it twice is written twice.

    Args:
        long: paths of mappings that may have very many entries: these are written one by one, so that each costs the
            same.
    """
    opened = frozenset(path[: depth + 1] for path in long for depth in range(len(path)))
    return "".join(_parts(document, opened, ()))


def _parts(document: Mapping[str, Any], opened: Collection[tuple[str, ...]], path: tuple[str, ...]) -> Iterator[str]:
    dump = _dump()
    for key, value in document.items():
        if (*path, key) in opened:
            yield _indented(dump({key: {}}).replace(" {}", ""), len(path))
            yield from _parts(value, opened, (*path, key))
        else:
            yield _indented(dump({key: value}), len(path))


def _indented(text: str, depth: int) -> str:
    """Lines of YAML that lie so deep. (Only a line feed ends one, which `textwrap` sees otherwise.)"""
    return "".join(f"{'  ' * depth}{line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


@lru_cache(maxsize=1024)
def _style(text: str) -> str | None:
    """How a text is written that no reader may take for anything else; None: as the library does."""
    if _BREAKS.search(text):
        return "|" if _plain(text) else '"'
    return "'" if _OTHERWISE.fullmatch(text) else None


def _plain(text: str) -> bool:
    """Whether YAML can hold lines as they are, by whichever library: printed characters, and none at the edges lost."""
    return (
        text == text.strip(" ")
        and not text.startswith("\n")
        and all(char == "\n" or (char.isprintable() and char < "\ud800") for char in text)
        and not any(line.endswith(" ") for line in text.split("\n"))
    )


@cache
def _dump() -> Any:
    """PyYAML's function with its safe dumper (in C where it is built with it)."""
    import yaml

    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {"ignore_aliases": lambda *_: True})

    def text(one: Any, value: str) -> Any:
        return one.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))

    dumper.add_representer(str, text)
    return partial(yaml.dump, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
