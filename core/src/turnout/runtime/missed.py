"""What a run's tracker did not take, noted in the store: whoever looks at the run is told, and `runs sync` sends it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.base import canonical
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.components.artifact_store import ArtifactStore
from turnout.stores import layout

if TYPE_CHECKING:
    from turnout.runtime.session import Session

LONG = 2000
"""Characters of a tracker's error that are told; it is cut once it holds no secret."""
END = "-end"
"""The label of the end of the run; no step has it, for their names have no hyphen."""


class Missed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was logged by the step or element *label* (:data:`END`: how the run ended) and was not all taken.

    ``final`` says that the tracker can never take it.
    """

    label: str
    why: str
    fix: str | None = None
    final: bool = False

    def __str__(self) -> str:
        return f"{'the end of the run' if self.label == END else f'what {self.label} logged'}: {self.why}"


def reason(session: Session, error: Exception) -> str:
    """What a tracker failed of, without secrets."""
    what = error.what + (f": {error.why}" if error.why else "") if isinstance(error, TurnoutError) else str(error)
    return session.components.redactor.text(what)[:LONG]


def remedy(session: Session, error: Exception) -> str | None:
    """What mends a tracker that failed, without secrets, where it says so."""
    fix = error.fix if isinstance(error, TurnoutError) else None
    return None if fix is None else session.components.redactor.text(fix)


def note(session: Session, label: str, error: Exception) -> None:
    """Note that a tracker did not take something; a store that fails as well has been told of elsewhere."""
    missed = Missed(label, reason(session, error), remedy(session, error), isinstance(error, UnsupportedError))
    with contextlib.suppress(Exception):
        session.store.create(_key(session, label), canonical.encode(missed))


def forget(session: Session, label: str) -> None:
    """Forget it: it is sent once more."""
    session.store.delete(_key(session, label))


def noted(store: ArtifactStore[Any], project: str, run: str) -> tuple[Missed, ...]:
    """All that a run's tracker did not take, the end of the run last."""
    folder = layout.missed(project, run)
    found = [store.read(f"{folder}/{name}") for name in sorted(store.children(folder), key=_order)]
    return tuple(missed for data in found if data is not None and (missed := _read(data)) is not None)


def _order(name: str) -> tuple[bool, str]:
    return name == f"{END}.json", name


def _read(data: bytes) -> Missed | None:
    with contextlib.suppress(*canonical.UNREADABLE):  # what is damaged tells nothing
        return msgspec.json.decode(data, type=Missed)
    return None


def _key(session: Session, label: str) -> str:
    return f"{layout.missed(session.run.project, session.run.id)}/{label}.json"
