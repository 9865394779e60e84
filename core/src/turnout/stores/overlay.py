"""A store to try things on: what is read comes from another store, what is written stays on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.components.base import Config
from turnout.stores.local import LocalStore


class Overlay(ArtifactStore[Config]):
    """Another store, to which nothing is written.

    Args:
        base: the store that is read.
        folder: where the objects created here lie; its owner removes it. What is deleted is only out of sight.
    """

    name = "overlay"

    def __init__(self, base: ArtifactStore[Any], folder: Path) -> None:
        super().__init__(Config())
        self.base = base
        self.top = LocalStore.from_url(str(folder))
        self._hidden: set[str] = set()

    @property
    def address(self) -> str:
        """The other store's address."""
        return self.base.address

    @property
    def extra(self) -> str:
        """What the other store needs."""
        return self.base.extra

    def environment(self) -> dict[str, str]:
        """The variables of the other store: a process that takes them does write to it."""
        return self.base.environment()

    def _below(self, key: str) -> bool:
        return key not in self._hidden

    def read(self, key: str) -> bytes | None:
        """The object's bytes, from here or there."""
        data = self.top.read(key)
        return self.base.read(key) if data is None and self._below(key) else data

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key, here or there."""
        return self.top.exists(key) or (self._below(key) and self.base.exists(key))

    def create(self, key: str, data: bytes) -> bool:
        """Create the object here, unless the key is taken here or there."""
        return not self.exists(key) and self.top.create(key, data)

    def create_from(self, key: str, path: Path) -> bool:
        """Create the object here, unless the key is taken here or there."""
        return not self.exists(key) and self.top.create_from(key, path)

    def fetch(self, key: str, path: Path) -> bool:
        """Write the object to a new local file."""
        return self.top.fetch(key, path) or (self._below(key) and self.base.fetch(key, path))

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a folder, here and there."""
        found = {entry.key: entry for entry in self.base.list(prefix) if self._below(entry.key)}
        found.update((entry.key, entry) for entry in self.top.list(prefix))
        return iter([found[key] for key in sorted(found)])

    def children(self, prefix: str) -> Sequence[str]:
        """The names directly below a folder, here and there."""
        return sorted({*self.base.children(prefix), *self.top.children(prefix)})

    def delete(self, key: str) -> None:
        """Remove the object here, and take it out of sight there."""
        self._hidden.add(key)
        self.top.delete(key)

    def local_path(self, key: str) -> Path | None:
        """The object as a local file, or None where it is not on this machine."""
        if self.top.exists(key):
            return self.top.local_path(key)
        return self.base.local_path(key) if self._below(key) else None

    def staging(self) -> Path | None:
        """A folder of this machine."""
        return self.top.staging()
