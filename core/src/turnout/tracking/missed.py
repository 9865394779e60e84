"""What a run's tracker did not take, noted in the store: whoever looks at the run is told, and `runs sync` sends it."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.base.redaction import Redactor
from turnout.components.artifact_store import ArtifactStore
from turnout.stores import layout
from turnout.stores.stored_run import Run

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


def of(label: str, error: Exception, redactor: Redactor) -> Missed:
    """What a tracker that failed did not take, without secrets."""
    what = error.what + (f": {error.why}" if error.why else "") if isinstance(error, TurnoutError) else str(error)
    fix = error.fix if isinstance(error, TurnoutError) else None
    return Missed(
        label,
        redactor.text(what)[:LONG],
        None if fix is None else redactor.text(fix),
        isinstance(error, UnsupportedError),
    )


def note(run: Run, missed: Missed) -> None:
    """Note that a tracker did not take something; a store that fails as well has been told of elsewhere."""
    with contextlib.suppress(Exception):
        run.store.create(_key(run, missed.label), canonical.encode(missed))


def forget(run: Run, label: str) -> None:
    """Forget it: it is sent once more."""
    run.store.delete(_key(run, label))


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


def _key(run: Run, label: str) -> str:
    return f"{layout.missed(run.info.project, run.info.id)}/{label}.json"
