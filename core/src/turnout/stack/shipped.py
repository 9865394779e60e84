"""The stacks that installed plugins ship: the YAML files in the folder ``stacks`` of a plugin's package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from turnout.components import discovery

FOLDER = "stacks"


class Shipped(NamedTuple):
    """A folder of stacks: where it is, its package, and the distribution that ships it."""

    folder: Path
    package: str
    distribution: str


def folders() -> Iterator[Shipped]:
    """The folders of stacks of all installed plugins; no plugin is imported."""
    for entry in discovery.entry_points():
        for place in locations(entry.module):
            package = entry.module if place.is_dir() else entry.module.rpartition(".")[0]
            folder = (place if place.is_dir() else place.parent) / FOLDER
            if package and folder.is_dir():
                yield Shipped(folder, package, entry.dist.name if entry.dist else package)


def locations(module: str) -> Iterator[Path]:
    """The folders of a package, or the files of a module, found and not imported."""
    top, *below = module.split(".")
    spec = PathFinder.find_spec(top)
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place, *below)
        if path.is_dir():
            yield path
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")


def to_install(name: str, extras: Mapping[str, str]) -> str:
    """The command that installs the plugins a ready-made stack is named after; empty where it is named after none.

    Args:
        name: such as ``airflow-mlflow``.
        extras: the distribution for each extra that stands for a plugin.
    """
    from importlib.metadata import PackageNotFoundError, version

    words = []
    for word in re.split(r"[-_]", name):
        if word in extras:
            try:
                version(extras[word])
            except PackageNotFoundError:
                words.append(word)
    return f"pip install 'turnout[{','.join(words)}]'" if words else ""
