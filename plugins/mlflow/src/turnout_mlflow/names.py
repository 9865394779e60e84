"""What things are called in MLflow: its rules for names are stricter than ours, and different names stay different."""

from __future__ import annotations

import posixpath
import re

from turnout.plugin_api import digest, encode

_LONGEST = 250
_OUTSIDE_KEYS = re.compile(r"[^/\w.\- ]")
_OUTSIDE_PATHS = re.compile(r"[^A-Za-z0-9_.\- ]")


def label(step: str, index: int | None) -> str:
    """A step, or an element of a mapped one."""
    return step if index is None else f"{step}/{index}"


def key(name: str) -> str:
    """The key of a metric, a parameter or a tag.

    What MLflow does not take becomes ``_``; such a key ends with a part of the name's digest, so that two never meet.
    """
    return _marked(name, _OUTSIDE_KEYS.sub("_", name))


def folder(name: str) -> str:
    """The folder of an artifact: one part of a path, by the same rule as :func:`key`."""
    return _marked(name, _OUTSIDE_PATHS.sub("_", name))


def _marked(name: str, plain: str) -> str:
    normal = posixpath.normpath(plain) == plain and not plain.startswith((".", "/", " ")) and not plain.endswith(" ")
    if plain == name and normal and len(name) <= _LONGEST:
        return name
    parts = [part for part in plain.split("/") if part.strip(". ")]
    return f"{'/'.join(parts)[: _LONGEST - 9].strip('/. ')}-{digest(encode(name))[:8]}"
