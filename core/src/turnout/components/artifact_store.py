"""The contract of artifact stores: bytes under keys, created if absent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout.components import base
from turnout.components.base import ConfigT
from turnout.model.plan import Component


class Entry(msgspec.Struct, frozen=True):
    """One object of a listing: key relative to the root, size in bytes, modification time (Unix seconds)."""

    key: str
    size: int
    modified: float


class ArtifactStore(base.Component[ConfigT], ABC):
    """Objects under keys such as ``demo/runs/x/run.json``, relative to a root URL.

    Create-if-absent is the primitive on which every commit stands: of any number of concurrent writers of
    one key, in any processes on any machines, exactly one gets True, and readers see nothing or the whole
    object. Instances are used from several threads and are made anew in each process.

    All methods raise :class:`turnout.base.errors.ArtifactError` when the store cannot be reached or refuses,
    naming the store's address without any credential.

    ``schemes`` are the URL schemes (``s3``) by which a stack may leave out the store's ``type``.
    """

    schemes: ClassVar[tuple[str, ...]] = ()

    resolve: Callable[[str], str | None] | None = None
    """Gives a secret by its name; set by whoever makes the store. A store is made with its references
    (``${secret:s3}``) as they are: :meth:`environment` passes them on, and the store resolves them when it connects."""

    secrets: Component | None = None
    """The settings of the stack's secret store, where this one refers to it; set by whoever makes the store. They are
    part of :meth:`environment`, for a worker needs the store before it can read its plan."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The root as a person knows it, without credentials, for messages."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The variables (``TURNOUT_STORE``) by which a worker process finds this same store; no secret values."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """The object's bytes, or None where there is none."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Create the object unless the key is taken; return whether this call created it."""

    @abstractmethod
    def create_from(self, key: str, path: Path) -> bool:
        """Create the object from a local file, as :meth:`create` does. The file may be moved away by it or stay.

        It is meant for content named by its digest: of concurrent writers of a large object several may get
        True. Readers see nothing or the whole here too.
        """

    @abstractmethod
    def fetch(self, key: str, path: Path) -> bool:
        """Write the object to a new local file; return False, writing nothing, where there is none."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below the folder *prefix*, in order of their keys."""

    @abstractmethod
    def children(self, prefix: str) -> Sequence[str]:
        """The names directly below the folder *prefix*, objects and folders alike, sorted."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""

    @property
    def extra(self) -> str:
        """The extra of turnout that brings what this store needs (``s3``), or an empty string."""
        return ""

    def local_path(self, key: str) -> Path | None:
        """The object as a local file that may be read but not changed, or None where the store is not local."""
        return None

    def staging(self) -> Path | None:
        """A local folder from which :meth:`create_from` is a move rather than a copy, or None."""
        return None

    def flush(self) -> None:
        """Make everything created so far durable against a power cut; called at the end of a run."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> ArtifactStore[Any]:
        """A store at *url* with the other settings as *options*."""
        return cls(msgspec.convert({"root": url, **options}, cls.Config))
