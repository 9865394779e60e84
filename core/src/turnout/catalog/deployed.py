"""What was deployed of a project's endpoints: each version one more object, which keeps what it serves in the store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.components.artifact_store import ArtifactStore
from turnout.model.endpoint_plan import EndpointPlan
from turnout.stores import layout

KEPT_VERSIONS = 3
"""How many versions of an endpoint are kept alive on each stack: the newest, and two to go back to."""
_NUMBER = re.compile(r"(\d+)\.json\Z", re.ASCII)


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """One version as it was deployed: when (ISO 8601, UTC), by whom, to which stack, with which share of requests."""

    plan: EndpointPlan
    time: str
    by: str
    stack: str
    share: float = 1.0


def remember(store: ArtifactStore[Any], deployed: Deployed) -> int:
    """Keep a version; return its number."""
    project, name = deployed.plan.project, deployed.plan.name
    while True:
        numbers = _numbers(store, project, name)
        number = numbers[-1] + 1 if numbers else 0
        if store.create(layout.endpoint(project, name, number), canonical.encode(deployed)):
            return number


def history(store: ArtifactStore[Any], project: str, name: str) -> tuple[Deployed, ...]:
    """All versions that were deployed, oldest first; one that cannot be read is left out."""
    found = (read(store.read(layout.endpoint(project, name, number))) for number in _numbers(store, project, name))
    return tuple(deployed for deployed in found if deployed is not None)


def live(store: ArtifactStore[Any], project: str, name: str, stack: str) -> EndpointPlan | None:
    """The version that answers on a stack, canaries aside; None where none was deployed."""
    whole = [one for one in history(store, project, name) if one.stack == stack and one.share == 1]
    return whole[-1].plan if whole else None


def read(data: bytes | None) -> Deployed | None:
    """A version as it is stored; None where it cannot be read."""
    try:
        return _decode(data or b"")
    except canonical.UNREADABLE:
        return None


def kept(versions: Sequence[Deployed | None]) -> set[int]:
    """The places, in a history from the oldest on, of what garbage collection keeps.

    These are, for each stack, the newest version and two before it; the canary, where none of them is newer; and what
    cannot be read.
    """
    kept_places = {place for place, one in enumerate(versions) if one is None}
    whole: dict[str, set[str]] = {}
    canaries: set[str] = set()
    for place, one in reversed(list(enumerate(versions))):
        if one is None:
            continue
        seen = whole.setdefault(one.stack, set())
        if one.share < 1:
            if not seen and one.stack not in canaries:
                canaries.add(one.stack)
                kept_places.add(place)
        elif one.plan.digest in seen or len(seen) < KEPT_VERSIONS:
            seen.add(one.plan.digest)
            kept_places.add(place)
    return kept_places


def forget(store: ArtifactStore[Any], project: str, name: str, stack: str) -> None:
    """Let go of all that an endpoint has served on a stack."""
    for number in _numbers(store, project, name):
        key = layout.endpoint(project, name, number)
        deployed = read(store.read(key))
        if deployed is None or deployed.stack == stack:
            store.delete(key)


_decode = msgspec.json.Decoder(Deployed).decode


def _numbers(store: ArtifactStore[Any], project: str, name: str) -> list[int]:
    files = store.children(layout.endpoint_history(project, name))
    return sorted(int(found[1]) for file in files if (found := _NUMBER.match(file)))
