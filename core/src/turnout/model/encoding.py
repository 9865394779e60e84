"""What plans of every kind have: canonical bytes, their digest, a format version, and a place in the user's files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from turnout.base import canonical
from turnout.base.errors import Location, PlanError

if TYPE_CHECKING:
    from turnout.model.spec import Place


class Placed:
    """Says where a definition or a plan was written."""

    __slots__ = ()
    if TYPE_CHECKING:  # a struct reads the annotations of its bases
        place: Place | None

    @property
    def where(self) -> Location | None:
        """The place in the user's files, for an error."""
        return None if self.place is None else Location(self.place.file, self.place.line)


class Encoded:
    """Gives a plan its bytes: a frozen struct (``dict=True``) with a ``format`` version and a minimum ``runtime``."""

    if TYPE_CHECKING:
        format: int
        runtime: str

    def encode(self) -> bytes:
        """The plan's canonical bytes; the format version is always written."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        return canonical.encode({"format": self.format, **canonical.without_defaults(self)})

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the canonical bytes."""
        return canonical.digest(self.encode())


class _Versioned(Protocol):
    @property
    def format(self) -> int: ...
    @property
    def runtime(self) -> str: ...


VersionedT = TypeVar("VersionedT", bound=_Versioned)


class _Header(msgspec.Struct):
    format: int
    runtime: str = "0"


def decode(
    data: bytes, read: Callable[[bytes], VersionedT], newest: int, where: str, *, again: str, used: str
) -> VersionedT:
    """Read a plan's bytes.

    Args:
        read: what decodes them; it raises what msgspec raises.
        newest: the newest format that is read.
        where: what the bytes are, for an error.
        again: how a plan that cannot be read is made anew.
        used: where a newer turnout is to be installed.

    Raises:
        PlanError: when they are no such plan, or one of a newer format, or one that needs a newer runtime.
    """
    try:
        plan = read(data)
    except canonical.UNREADABLE as error:
        with contextlib.suppress(*canonical.UNREADABLE):  # a newer one may have fields unknown here
            _check_version(msgspec.json.decode(data, type=_Header), newest, where, used)
        raise PlanError(f"{where} cannot be read: {error}", fix=again) from error
    _check_version(plan, newest, where, used)
    return plan


def _check_version(header: _Versioned, newest: int, where: str, used: str) -> None:
    from turnout import __version__

    fix = f"install turnout>={header.runtime} {used}"
    if header.format > newest:
        what = f"{where} has format {header.format}; this turnout {__version__} reads up to {newest}"
        raise PlanError(what, fix=fix)
    if _release(header.runtime) > _release(__version__):
        what = f"{where} needs turnout {header.runtime} or newer on its workers; this is {__version__}"
        raise PlanError(what, fix=fix)


def _release(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("."):
        number = "".join(char for char in part if char.isdigit())
        parts.append(int(number or 0))
    return tuple(parts[:3])
