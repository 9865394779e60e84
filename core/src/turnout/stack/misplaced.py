"""References that stand where nothing resolves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from turnout.base.errors import ConfigError, Location
from turnout.stack import references
from turnout.stack.loader import Node


def in_secret_store(settings: Node) -> Iterator[ConfigError]:
    """An error for each secret that the settings of the secret store itself refer to."""
    for at, reference in _references(settings):
        if reference.kind == "secret":
            what = "the settings of the secret store refer to a secret"
            yield ConfigError(what, where=at, fix="use ${worker-env:NAME} there")


def in_exports(settings: Node, exported: Mapping[str, str], owner: str) -> Iterator[ConfigError]:
    """An error for each reference that would be written into files as it is, where nothing resolves it."""
    for name, fix in exported.items():
        node = settings.get(name)
        for at, reference in _references(node) if node is not None else ():
            if reference.kind != "env":
                what = f"the setting {name!r} of {owner} goes into exported files, where nothing resolves {reference}"
                yield ConfigError(what, where=at, fix=fix)


def _references(settings: Node) -> Iterator[tuple[Location, references.Reference]]:
    """The references in settings, and where each is; those that cannot be read are told elsewhere."""
    for _, leaf in settings.leaves():
        try:
            parts = references.parse(leaf.value, leaf.at) if isinstance(leaf.value, str) else ()
        except ConfigError:
            continue
        yield from ((leaf.at, part) for part in parts if isinstance(part, references.Reference))
