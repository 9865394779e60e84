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

from turnout.base import canonical
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.stores import layout

FRESH = 3600.0
"""Seconds after it was written in which content is new, and is claimed by nobody."""
SHORTEST_GRACE = 2 * FRESH
"""Seconds that writers can rely on: content that is new, or was claimed while it was, is not removed for so long."""
HELD = 7 * 86_400.0
"""Seconds for which a submitter's claim holds: a run may wait so long in its engine's queue."""
HURRY = 30.0
"""Seconds after which who condemned something no longer removes it."""
PATIENCE = 2 * HURRY
"""Seconds after which a claimant takes what was condemned for abandoned."""


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
    now = time.time()
    standing = list(store.list(layout.claims(digest)))
    if not any(_until(one) >= now + 0.9 * seconds if seconds else now - one.modified < FRESH for one in standing):
        store.create(layout.claim(digest, int(now + seconds), uuid.uuid4().hex[:12]), b"{}")
    while (mark := store.read(layout.condemned(digest))) is not None:
        if time.time() - _time(mark) > PATIENCE:  # who made it is gone
            store.delete(layout.condemned(digest))
            return
        time.sleep(0.1)


def _time(mark: bytes) -> float:
    try:
        return msgspec.json.decode(mark, type=float)
    except msgspec.MsgspecError:
        return 0.0


def _until(claim: Entry) -> float:
    """When a claim ends, in Unix seconds; the mark of what is condemned is none."""
    until = claim.key.rpartition("/")[2].partition(".")[0]
    return float(until) if until.isdecimal() else 0.0


def holds(claim: Entry, now: float, grace: float) -> bool:
    """Whether a claim still keeps its content."""
    until = _until(claim)
    return until > 0 and (until > now or now - claim.modified < grace)


@contextmanager
def condemning(store: ArtifactStore[Any], digest: str, now: float, grace: float) -> Iterator[bool]:
    """Condemn content for the time of the block; gives whether it may be removed: False where it is claimed, or
    another process is removing it."""
    mark = layout.condemned(digest)
    mine = store.create(mark, canonical.encode(time.time()))
    marks = list(store.list(layout.claims(digest)))
    if not mine:
        if any(entry.key == mark and now - entry.modified > PATIENCE for entry in marks):
            store.delete(mark)  # who made it is gone; the next one removes the content
        yield False
        return
    try:
        yield not any(holds(entry, now, grace) for entry in marks)
    finally:
        store.delete(mark)
