"""Where something lies inside a value: the path a message names, such as ``['model'].lock``."""

from __future__ import annotations

import dataclasses
import os
import site
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEPTH = 50
"""How deep a value is looked into."""
LENGTH = 80
"""The characters of a path in a message."""


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds, each with the end of the path that leads to it."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
        yield from ((f": the key {key!r}", key) for key in value)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", getattr(value, name)) for name in value._fields)
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{n}]", item) for n, item in enumerate(value))
    if isinstance(value, type):
        return
    names = {*getattr(value, "__dict__", ()), *slots(type(value))}
    if dataclasses.is_dataclass(value):
        names |= {field.name for field in dataclasses.fields(value)}
    inner = _of_a_library(type(value))
    for name in sorted(names):
        if name == "__pydantic_private__":
            yield from ((f".{key}", item) for key, item in (getattr(value, name, None) or {}).items())
        if name.startswith("__pydantic_") or (inner and name.startswith("_")):
            continue
        try:
            yield f".{name}", object.__getattribute__(value, name)
        except AttributeError:
            continue


def _of_a_library(kind: type[Any]) -> bool:
    """Whether a class is none of the project's, so that its private attributes mean nothing to who reads a message."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is None or file.startswith((*site.getsitepackages(), str(Path(os.__file__).parent)))


def slots(kind: type[Any]) -> Iterator[str]:
    """The names of a class's slots, its bases' included, as attributes are asked for."""
    for base in kind.__mro__:
        own = base.__dict__.get("__slots__", ())
        for name in (own,) if isinstance(own, str) else own:
            private = name.startswith("__") and not name.endswith("__")
            if name not in ("__dict__", "__weakref__"):
                yield f"_{base.__name__.lstrip('_')}{name}" if private else name


def descend(value: Any, bad: Callable[[Any], bool]) -> tuple[str, Any]:
    """The innermost part of a value that is bad itself, and the path to it."""
    path = ""
    for _ in range(DEPTH):
        inner = next(((end, part) for end, part in parts(value) if bad(part)), None)
        if inner is None:
            break
        path, value = path + inner[0], inner[1]
    return path if len(path) < LENGTH else f"{path[: LENGTH // 2]}…{path[-LENGTH // 2 :]}", value


def search(value: Any, sought: Callable[[Any], bool]) -> tuple[str, Any] | None:
    """The first part of a value that is the sought one, and the path to it."""
    pending, seen = [("", value)], {id(value): value}
    while pending:
        path, item = pending.pop()
        if sought(item):
            return path, item
        inner = [(path + end, part) for end, part in parts(item) if id(part) not in seen]
        seen.update((id(part), part) for _, part in inner)
        pending.extend(reversed(inner))
    return None
