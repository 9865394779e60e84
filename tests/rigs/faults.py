"""A store that fails on purpose: it kills the process, or holds it up, at one of its writes.

Worker processes find it as they find any plugin's store: by an entry point, of a distribution that
:func:`installed_in` makes in a folder for ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.components.base import Config
from turnout.components.hookspecs import hookimpl
from turnout.stores.address import from_environment
from turnout.stores.worker_settings import VARIABLE


class FaultyConfig(Config, frozen=True):
    """What goes wrong, and when. Points count from 0: two for each write, one before it and one after it."""

    store: Annotated[str, msgspec.Meta(description="The store itself: what TURNOUT_STORE would be without faults.")]
    kill_at: Annotated[int | None, msgspec.Meta(description="The point at which the process is killed.")] = None
    stall_at: Annotated[int | None, msgspec.Meta(description="The point at which the process waits.")] = None
    gate: Annotated[str, msgspec.Meta(description="The file for which it waits; it makes one named …stalled.")] = ""


class FaultyStore(ArtifactStore[FaultyConfig]):
    """Another store, behind faults."""

    name = "faulty"
    Config = FaultyConfig

    def __init__(self, config: FaultyConfig) -> None:
        super().__init__(config)
        self._store = from_environment({VARIABLE: config.store})
        self._point = 0
        self._lock = threading.Lock()

    def _pass(self) -> None:
        with self._lock:
            point, self._point = self._point, self._point + 1
        if point == self.config.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if point == self.config.stall_at:
            Path(f"{self.config.gate}.stalled").touch()
            while not Path(self.config.gate).exists():
                time.sleep(0.01)

    @property
    def address(self) -> str:
        return self._store.address

    def environment(self) -> dict[str, str]:
        settings = {"type": self.name, **msgspec.to_builtins(self.config)}
        return {VARIABLE: msgspec.json.encode(settings).decode()}

    def create(self, key: str, data: bytes) -> bool:
        self._pass()
        created = self._store.create(key, data)
        self._pass()
        return created

    def create_from(self, key: str, path: Path) -> bool:
        self._pass()
        created = self._store.create_from(key, path)
        self._pass()
        return created

    def read(self, key: str) -> bytes | None:
        return self._store.read(key)

    def fetch(self, key: str, path: Path) -> bool:
        return self._store.fetch(key, path)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        return self._store.list(prefix)

    def children(self, prefix: str) -> Sequence[str]:
        return self._store.children(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def local_path(self, key: str) -> Path | None:
        return self._store.local_path(key)

    def staging(self) -> Path | None:
        return self._store.staging()

    def flush(self) -> None:
        self._store.flush()


def installed_in(folder: Path) -> str:
    """Make a distribution in *folder* that brings the store as a plugin; returns what to put on ``PYTHONPATH``."""
    metadata = folder / "turnout_faults-0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: turnout-faults\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[turnout]\nfaults = faulty_store\n", encoding="utf-8")
    shutil.copyfile(__file__, folder / "faulty_store.py")
    return str(folder)


@hookimpl
def turnout_artifact_stores() -> list[type[ArtifactStore[Any]]]:
    """The faulty store."""
    return [FaultyStore]
