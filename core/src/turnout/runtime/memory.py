"""What the processes of steps have read, handed to those that come after them: records and checks, never values."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import msgspec

from turnout.artifacts.blobs import Stamp
from turnout.base import canonical
from turnout.model.records import Record
from turnout.runtime.session import Session

MOST = 32
"""How many records are handed on, those of mapped steps' elements aside: what many steps read, not all that one did."""


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step's process has learned, and whether it had to run the step."""

    ran: bool = False
    records: list[Record] = []
    verified: dict[str, tuple[Stamp, str]] = {}
    fetched: dict[str, int] = {}


class Mark(NamedTuple):
    """How much was remembered at a time."""

    records: int
    verified: int


_decoder = msgspec.json.Decoder(Memory)


def mark(session: Session) -> Mark:
    """How much a session remembers now."""
    return Mark(len(session.run.records), len(session.artifacts.blobs.verified))


def news(session: Session, since: Mark, *, ran: bool) -> bytes:
    """What a session has come to remember since a mark, as a line of JSON."""
    blobs = session.artifacts.blobs
    fresh = itertools.islice(session.run.records.values(), since.records, None)
    memory = Memory(
        ran=ran,
        records=list(itertools.islice((record for record in fresh if record.index is None), MOST)),
        verified=dict(itertools.islice(blobs.verified.items(), since.verified, None)),
        fetched=dict(blobs.fetched),
    )
    return canonical.encode(memory)


def recall(session: Session, line: bytes) -> Memory:
    """Take over into a session what another has come to remember."""
    memory = _decoder.decode(line)
    session.run.remember(memory.records)
    session.artifacts.blobs.recall(memory.verified, memory.fetched)
    return memory
