"""What was deployed of a project's endpoints: each version one more object, which keeps what it serves in the store."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.components.artifact_store import ArtifactStore
from turnout.model.endpoint import EndpointPlan
from turnout.stores import layout

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
    found = []
    for number in _numbers(store, project, name):
        try:
            data = store.read(layout.endpoint(project, name, number)) or b""
            found.append(msgspec.json.decode(data, type=Deployed))
        except canonical.UNREADABLE:
            continue
    return tuple(found)


def forget(store: ArtifactStore[Any], project: str, name: str) -> None:
    """Let go of all that an endpoint has served."""
    for number in _numbers(store, project, name):
        store.delete(layout.endpoint(project, name, number))


def _numbers(store: ArtifactStore[Any], project: str, name: str) -> list[int]:
    files = store.children(layout.endpoint_history(project, name))
    return sorted(int(found[1]) for file in files if (found := _NUMBER.match(file)))
