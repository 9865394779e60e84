"""The contract of materializers: a Python value to files and back, and when two are the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from turnout.base.errors import ArtifactError
from turnout.model.profile import Profile
from turnout.model.types import ANY, TypeName


class Unfit(ArtifactError):
    """This materializer cannot keep this value exactly. The next that takes its type is tried, at last the pickle."""


class Materializer(ABC):
    """Writes values of some types as files and reads them back.

    ``types`` are the names (``module:qualname``) of the classes it takes; subclasses are included. Nothing
    of a library is imported before a value of it is at hand. ``reads`` are further types that :meth:`load`
    can give when a step asks for them: a Parquet table is read as pandas, Polars or pyarrow alike.
    """

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    pickled: ClassVar[bool] = False
    """Whether loading executes what the file says: read only where the digest is the recorded one."""

    @abstractmethod
    def save(self, value: Any, folder: Path) -> Profile | None:
        """Write *value* into the empty *folder*. The same value should give the same bytes.

        Returns:
            For the record, what a table is like; nothing for other values.

        Raises:
            Unfit: when the files would not give the same value back; another materializer then takes it.
            ArtifactError: when this value cannot be written, saying which part and why.
        """

    @abstractmethod
    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        """Read the value back, as the *wanted* type where this materializer can give several."""

    def equal(self, left: Path, right: Path) -> bool:
        """Whether two saved values are the same for the user; by default whether their files' bytes are."""
        return tree(left) == tree(right)


def tree(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder, by their relative paths."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
