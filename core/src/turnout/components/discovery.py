"""Which installed distributions bring plugins.

The start of every command asks, so this reads the files that say so and nothing else: ``importlib.metadata`` takes
longer to import than all the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "turnout"
"""The entry-point group of plugins."""


def places() -> Iterator[tuple[str, str]]:
    """The distributions with entry points in the group: the name of each, and the folder with its metadata.

    Of several of one name, the one that is imported. An archive on ``sys.path`` has the name "": only
    ``importlib.metadata`` can look into it.
    """
    seen: set[str] = set()
    for place in dict.fromkeys(sys.path):
        try:
            entries = os.listdir(place or ".")
        except NotADirectoryError:
            yield "", place
            continue
        except OSError:
            continue
        for entry in entries:
            stem, _, ending = entry.rpartition(".")
            name = stem.partition("-")[0].lower().replace("_", "-")
            if ending in {"dist-info", "egg-info"} and name not in seen:
                seen.add(name)
                if _registers(os.path.join(place, entry, "entry_points.txt")):
                    yield name, os.path.join(place, entry)


def entry_points() -> list[EntryPoint]:
    """The entry points of all plugins: the core's first, then by name."""
    from importlib.metadata import Distribution, distributions

    entries: list[EntryPoint] = []
    for name, place in places():
        for one in [Distribution.at(place)] if name else distributions(path=[place]):
            entries.extend(one.entry_points.select(group=GROUP))
    return sorted(entries, key=lambda entry: (entry.name != "turnout", entry.name))


def extras() -> dict[str, str]:
    """The extras of turnout that stand for a plugin, each with the plugin's distribution: ``airflow``,
    ``turnout-airflow``."""
    import re
    from importlib.metadata import PackageNotFoundError, requires

    try:
        declared = requires("turnout") or ()
    except PackageNotFoundError:
        return {}
    pattern = re.compile(r"""(turnout-([a-z0-9-]+))(?:\[[a-z0-9,-]+\])?\s*;.*extra\s*==\s*['"]\2['"]""")
    return {match[2]: match[1] for line in declared if (match := pattern.match(line))}


def _registers(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return f"[{GROUP}]" in stream.read()
    except OSError:
        return False
