"""Keeping what is about to be named from being removed as garbage: a claim comes first, and either side sees the other.

Who is about to name content that lies in the store already (a step that made the same again, a plan that is submitted
again) claims it, then looks whether it is condemned. Who removes garbage condemns it, then looks whether it is
claimed. Whatever the order, at least one of them gives way. Content that is new needs no claim: it is kept for the
time that writers are given anyway.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from turnout import canonical
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.stores import layout

FRESH = 3600.0
"""Seconds after it was written in which content is new, and is claimed by nobody."""
HELD = 7 * 86_400.0
"""Seconds for which a submitter's claim holds: a run may wait so long in its engine's queue."""
HURRY = 30.0
"""Seconds after which who condemned something no longer removes it."""
PATIENCE = 2 * HURRY
"""Seconds after which a claimant takes what was condemned for abandoned."""


class Claim(msgspec.Struct, frozen=True):
    """Until when a claim holds at least, in Unix seconds; of what is condemned, when that was."""

    until: float = 0.0


def _decoded(data: bytes) -> Claim:
    try:
        return msgspec.json.decode(data, type=Claim)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Claim()


def claim_old(store: ArtifactStore[Any], digest: str, present: Iterable[Entry]) -> bool:
    """Claim content that is in the store already, unless all of it is new; return whether it was claimed.

    What is *present* may have been removed meanwhile where True is returned: look again.
    """
    modified = max((entry.modified for entry in present), default=None)
    if modified is None or time.time() - modified < FRESH:
        return False
    claim(store, digest)
    return True


def claim(store: ArtifactStore[Any], digest: str, seconds: float = 0.0) -> None:
    """Keep content from being removed, from now until something names it; wait where it is being removed now.

    Args:
        seconds: for how long at least; else for the time that writers are given.
    """
    until = time.time() + seconds if seconds else 0.0
    store.create(layout.claim(digest, uuid.uuid4().hex[:12]), canonical.encode(Claim(until)))
    while (mark := store.read(layout.condemned(digest))) is not None:
        if time.time() - _decoded(mark).until > PATIENCE:  # who made it is gone
            store.delete(layout.condemned(digest))
            return
        time.sleep(0.1)


def holds(store: ArtifactStore[Any], entry: Entry, now: float, grace: float) -> bool:
    """Whether a claim still keeps its content."""
    if entry.key.endswith("/condemned"):
        return False
    if now - entry.modified < grace:
        return True
    return _decoded(store.read(entry.key) or b"").until > now


@contextmanager
def condemning(store: ArtifactStore[Any], digest: str, now: float, grace: float) -> Iterator[bool]:
    """Condemn content for the time of the block; gives whether it may be removed: False where it is claimed, or
    another process is removing it."""
    mark = layout.condemned(digest)
    mine = store.create(mark, canonical.encode(Claim(time.time())))
    marks = list(store.list(layout.claims(digest)))
    if not mine:
        if any(entry.key == mark and now - entry.modified > PATIENCE for entry in marks):
            store.delete(mark)  # who made it is gone; the next one removes the content
        yield False
        return
    try:
        yield not any(holds(store, entry, now, grace) for entry in marks)
    finally:
        store.delete(mark)
